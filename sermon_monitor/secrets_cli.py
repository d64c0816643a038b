"""``sermon-monitor secrets``: those that the compose stack makes for itself."""

from __future__ import annotations

from pathlib import Path

import click

from sermon_monitor import secrets
from sermon_monitor.terminal import fail, settings_of_process


@click.group("secrets")
def secrets_group() -> None:
    """The secrets of the compose stack.

    Example: docker compose -f docker-compose.monitoring.yml run --rm monitor secrets show
    """


_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path), default=Path("/secrets"))


@secrets_group.command("init")
@_DIRECTORY
@click.pass_context
def secrets_init(context: click.Context, directory: Path) -> None:
    """Make what is missing in DIRECTORY; what is there stays.

    Example: sermon-monitor secrets init /secrets
    """
    url = settings_of_process(context).discord_webhook_url
    try:
        made = secrets.initialise(directory, url.get_secret_value() if url else None)
    except OSError as error:
        fail([f"{directory}: {error.strerror}"])
    click.echo(f"changed: {', '.join(made)}" if made else "nothing was missing")


@secrets_group.command("show")
@_DIRECTORY
def secrets_show(directory: Path) -> None:
    """Print the generated secrets, for whoever set the stack up.

    Example: sermon-monitor secrets show /secrets
    """
    try:
        for name, text in secrets.shown(directory).items():
            click.echo(f"{name}: {text}")
    except OSError as error:
        fail([f"{error.filename}: {error.strerror}; sermon-monitor secrets init makes them"])
