"""``sermon-monitor serve``: the process."""

from __future__ import annotations

import click

from receiver.deciding.policy import PolicyError
from receiver.store.database import StoreError
from sermon_monitor import serve
from sermon_monitor.settings import without_effect
from sermon_monitor.terminal import fail, settings_of


@click.command("serve")
@click.option(
    "--only", type=click.Choice(["exporter", "receiver"]), help="Run one half of the process."
)
@click.pass_context
def serve_command(context: click.Context, only: serve.Only) -> None:
    """Run the process until SIGTERM.

    Example: DRY_RUN=true sermon-monitor serve
    """
    settings = settings_of(context)
    for name in without_effect(settings):
        click.echo(f"sermon-monitor: {name} is set and has no effect", err=True)
    try:
        serve.serve(settings, only, context.obj)
    except (serve.StartError, StoreError) as error:
        fail([str(error)])
    except PolicyError as error:
        fail(error.problems, 2)
