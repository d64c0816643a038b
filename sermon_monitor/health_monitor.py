"""The guide's ``health-monitor.sh``, whose options keep working: it is ``serve`` by another name."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sermon_monitor.serve_cli import serve_command

GUIDE_CONFIG = Path("/etc/sermon-uploader/health-monitor.conf")


@click.command("health-monitor")
@click.option(
    "--config-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"KEY=VALUE settings file (default: $SERMON_MONITOR_CONFIG, else {GUIDE_CONFIG} where it is).",
)
@click.option(
    "--daemon", is_flag=True, help="Accepted; whatever starts it (systemd) keeps it running."
)
@click.option("--dry-run", is_flag=True, help="Watch and tell, change nothing.")
@click.pass_context
def health_monitor(
    context: click.Context, config_file: Path | None, daemon: bool, dry_run: bool
) -> None:
    """Run the process until SIGTERM, as scripts/health-monitor.sh of the guide did.

    Example: sermon-monitor health-monitor --daemon --config-file /etc/sermon-uploader/health-monitor.conf
    """
    if dry_run:
        os.environ["DRY_RUN"] = "true"
    if config_file is not None:
        context.obj = config_file
    elif (
        context.obj is None and "SERMON_MONITOR_CONFIG" not in os.environ and GUIDE_CONFIG.exists()
    ):
        context.obj = GUIDE_CONFIG
    context.invoke(serve_command, only=None)
