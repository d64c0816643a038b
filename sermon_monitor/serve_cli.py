"""``sermon-monitor serve``: the process."""

from __future__ import annotations

import click

from receiver.deciding.policy import PolicyError
from receiver.store.database import StoreError
from sermon_monitor import serve
from sermon_monitor.deployments import left_to_each
from sermon_monitor.log_handler import never_wait
from sermon_monitor.settings import without_effect
from sermon_monitor.terminal import every_deployment, fail, settings_of_process


@click.command("serve")
@click.option(
    "--only", type=click.Choice(["exporter", "receiver"]), help="Run one half of the process."
)
@click.pass_context
def serve_command(context: click.Context, only: serve.Only) -> None:
    """Run the process until SIGTERM.

    Example: DRY_RUN=true sermon-monitor serve
    """
    settings = settings_of_process(context)
    found = every_deployment(context, settings)
    for name in [*without_effect(settings), *left_to_each(settings, found)]:
        click.echo(f"sermon-monitor: {name} is set and has no effect", err=True)
    never_wait()
    try:
        serve.serve(settings, only, context.obj, found)
    except (serve.StartError, StoreError) as error:
        fail([str(error)])
    except PolicyError as error:
        fail(error.problems, 2)
