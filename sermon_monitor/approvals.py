"""``sermon-monitor approvals``, ``approve`` and ``deny``: a person's yes or no, from a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from receiver.approving.approvals import Choice, Decided, decide
from receiver.board import plain as board
from receiver.store.database import StoreError
from sermon_monitor import shown, store_file
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import (
    by_option,
    deployment_option,
    fail,
    found_in_store,
    limit_option,
    person,
    settings_of,
)

_NUMBER = click.argument("number", metavar="ID", type=click.IntRange(1, 2**63 - 1))


@click.command("approvals")
@click.option("--json", "as_json", is_flag=True, help="Print the approvals as JSON.")
@limit_option
@deployment_option
@click.pass_context
def approvals_command(context: click.Context, as_json: bool, limit: int) -> None:
    """List what waits for a person's approval, and what became of earlier questions.

    Example: sermon-monitor approvals --json
    """
    settings = settings_of(context)
    found = found_in_store(settings, lambda c: board.approvals(c, limit))
    shown.approvals(found, settings.zone, as_json=as_json)


@click.command("approve")
@_NUMBER
@by_option
@deployment_option
@click.pass_context
def approve_command(context: click.Context, number: int, by: str | None) -> None:
    """Say yes to what waits for an approval. It begins when every other gate lets it pass.

    Example: sermon-monitor approve 7 --by Anna
    """
    decided = _decide(settings_of(context), number, "granted", person(by))
    click.echo(f"granted: {decided.words}; it begins within seconds if every other gate agrees")


@click.command("deny")
@_NUMBER
@by_option
@deployment_option
@click.pass_context
def deny_command(context: click.Context, number: int, by: str | None) -> None:
    """Say no to what waits for an approval. It is not asked again for the same alert in this incident.

    Example: sermon-monitor deny 7 --by Anna
    """
    decided = _decide(settings_of(context), number, "denied", person(by))
    click.echo(f"denied: {decided.words}; it is not done")


def _decide(settings: Settings, number: int, choice: Choice, who: str) -> Decided:
    """Ends with the reason where it does not count."""
    path = settings.store
    try:
        if not store_file.exists(path):
            fail([f"there is no approval {number}: nothing has been asked yet"])
        with store_file.writing(path) as connection:
            decided = decide(connection, number, choice, who, datetime.now(UTC), settings.zone)
    except StoreError as error:
        fail([str(error)])
    if not decided.done:
        fail([decided.words])
    return decided
