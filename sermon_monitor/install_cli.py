"""The verbs that put our files where GitHub and systemd look for them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from sermon_monitor import install

_WORDS = {"new": "new", "same": "unchanged", "differs": "differs", "kept": "yours, left as it is"}
_FOR_THE_SYSTEM = (
    "sudo systemd-sysusers sermon-monitor.conf   # makes the user",
    f"sudo chown root:sermon-monitor {install.SETTINGS_FILE}",
    f"sudo chmod 640 {install.SETTINGS_FILE}   # it holds secrets",
)
_TIMERS = (
    "sudo systemctl enable --now sermon-uploader-backup.timer sermon-uploader-backup-drill.timer"
)
_FORCE = click.option("--force", is_flag=True, help="Also replace what differs.")
_DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Show what would be written; write nothing."
)


@click.command("install-workflow")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_FORCE
@_DRY_RUN
def install_workflow(directory: Path, force: bool, dry_run: bool) -> None:
    """Put the rollback workflow, and an example of a deployment, into the application's checkout DIRECTORY.

    A file that is there and differs is shown as a diff and stays, unless --force.

    Example: sermon-monitor install-workflow ~/sermon-uploader
    """
    git = f"git -C {shlex.quote(str(directory))}"
    next_steps = (
        f"{git} add .github/workflows/rollback.yml",
        f"{git} commit -m 'The way back: the rollback workflow'",
        f"{git} push   # to the default branch",
    )
    _install(lambda: install.workflow_pieces(directory), next_steps, force=force, dry_run=dry_run)


@click.command("install-units")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Only the unit, into this directory (default: /etc/systemd/system with user and settings).",
)
@click.option("--user", is_flag=True, help="For systemd's instance of this user, without root.")
@_FORCE
@_DRY_RUN
def install_units(directory: Path | None, user: bool, force: bool, dry_run: bool) -> None:
    """Put the systemd units in place, for a machine without our container; start nothing.

    It is called sermon-uploader-health-monitor, and sermon-monitor for short once it is enabled. The timers of
    the daily backup and the monthly drill come with it.

    Example: sudo /opt/sermon-monitor/.venv/bin/sermon-monitor install-units
    """
    control = "systemctl --user" if user else "sudo systemctl"
    name = install.UNIT_NAME.removesuffix(".service")
    next_steps = (
        *(() if user or directory else _FOR_THE_SYSTEM),
        f"{control} daemon-reload",
        f"{control} enable --now {name}",
        f"{control} status {name}",
        *(() if user or directory else (_TIMERS,)),
    )
    pieces = lambda: install.unit_pieces(directory, user=user)  # noqa: E731
    _install(pieces, next_steps, force=force, dry_run=dry_run)


def _install(
    pieces: Callable[[], Sequence[install.Piece]],
    next_steps: Sequence[str],
    *,
    force: bool,
    dry_run: bool,
) -> None:
    try:
        looks = install.look(pieces())
        for one in looks:
            click.echo(f"{_WORDS[one.state]}: {one.piece.path}")
            if one.diff:
                click.echo(one.diff)
        if dry_run:
            click.echo("nothing was written")
            return
        install.put(looks, force=force)
    except install.RefusedError as error:
        click.echo(f"sermon-monitor: {error}", err=True)
        sys.exit(1)
    click.echo("\nnext:")
    for step in next_steps:
        click.echo(f"  {step}")
