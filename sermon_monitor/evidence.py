"""``sermon-monitor evidence``: what was collected about the containers of an incident."""

from __future__ import annotations

import json

import click

from receiver.board import plain as board
from receiver.store import incidents
from receiver.store.database import StoreError
from sermon_monitor import shown, store_file
from sermon_monitor.terminal import deployment_option, fail, settings_of


@click.command("evidence")
@click.argument("incident", type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print the evidence as JSON.")
@deployment_option
@click.pass_context
def evidence_command(context: click.Context, incident: int, as_json: bool) -> None:
    """Print the evidence of an incident: exit codes, limits, the machine, the end of the log.

    Example: sermon-monitor evidence 12
    """
    path = settings_of(context).store
    found = None
    try:
        if store_file.exists(path):
            with store_file.looking(path) as connection:
                if incidents.incident(connection, incident):
                    found = board.evidence(connection, incident)
    except StoreError as error:
        fail([str(error)])
    if found is None:
        fail([f"no incident {incident}; sermon-monitor incidents lists them"])
    if as_json:
        click.echo(json.dumps({"evidence": found}, indent=2, default=shown.written))
        return
    if not found:
        click.echo(f"no evidence was collected for incident {incident}")
    for one in found:
        click.echo(one["text"])  # its lines were made safe when it was collected
