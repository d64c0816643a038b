"""``sermon-monitor rules``: alerts.yml for the thresholds in force."""

from __future__ import annotations

from pathlib import Path

import click

from sermon_monitor.terminal import settings_of_process
from target.rules import render_rules


@click.command("rules")
@click.option(
    "--conf",
    type=click.Path(path_type=Path),
    help="Settings file with the thresholds (default: as in force).",
)
@click.pass_context
def rules_command(context: click.Context, conf: Path | None) -> None:
    """Print alerts.yml for the thresholds in force.

    Example: sermon-monitor rules --conf /etc/sermon-uploader/health-monitor.conf > monitoring/alerts.yml
    """
    if conf is not None:
        context.obj = conf
    click.echo(render_rules(settings_of_process(context)), nl=False)
