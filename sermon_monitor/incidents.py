"""``sermon-monitor incidents``."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from receiver.board import plain as board
from sermon_monitor import shown
from sermon_monitor.terminal import deployment_option, found_in_store, limit_option, settings_of


@click.command("incidents")
@click.option("--json", "as_json", is_flag=True, help="Print the incidents as JSON.")
@limit_option
@deployment_option
@click.pass_context
def incidents_command(context: click.Context, as_json: bool, limit: int) -> None:
    """List incidents with their alerts and steps, open ones first.

    Example: sermon-monitor incidents --json
    """
    settings = settings_of(context)
    found = found_in_store(settings, lambda c: board.overview(c, datetime.now(UTC), limit))
    shown.incidents(found, settings.zone, as_json=as_json)
