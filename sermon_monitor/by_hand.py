"""``sermon-monitor note``, ``retry``, ``discard``: what a person says or does about an incident."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import click

from receiver import by_hand
from receiver.by_hand import Reference, RefusedError
from receiver.store.database import StoreError
from sermon_monitor import shown, store_file
from sermon_monitor.terminal import by_option, deployment_option, fail, person, settings_of

Result = TypeVar("Result")


@click.command("note")
@click.argument("incident", metavar="ID", type=click.IntRange(min=1))
@click.argument("text", nargs=-1, required=True)
@by_option
@deployment_option
@click.pass_context
def note_command(
    context: click.Context, incident: int, text: tuple[str, ...], by: str | None
) -> None:
    """Note something on an incident; it stands on its card and on the board.

    Example: sermon-monitor note 12 "the disk is on order, comes Tuesday"
    """
    words, who = _worded(" ".join(text), "a text"), person(by)
    about = Reference("incident", incident)
    _change(context, "note", about, who, lambda c, now: by_hand.note(c, incident, words, who, now))
    click.echo(f"noted on incident {incident}")


@click.command("retry")
@click.argument("what", metavar="ID")
@by_option
@deployment_option
@click.pass_context
def retry_command(context: click.Context, what: str, by: str | None) -> None:
    """Do again what failed or was refused: of an incident (12), one step (s34) or message (m7).

    A step is planned anew, now, and every gate is asked; no budget is refilled.

    Example: sermon-monitor retry 12
    """
    about, who = _reference(what), person(by)
    lines = _change(context, "retry", about, who, lambda c, now: by_hand.retry(c, about, who, now))
    for line in lines:
        click.echo(shown.line(line))


@click.command("discard")
@click.argument("what", metavar="ID")
@click.option("--reason", required=True, help="Why; it stands on the card and in the audit trail.")
@by_option
@deployment_option
@click.pass_context
def discard_command(context: click.Context, what: str, reason: str, by: str | None) -> None:
    """Give up for good: close an incident (12), drop a step that waits (s34), not send a message (m7).

    An alert that fires again opens the incident again.

    Example: sermon-monitor discard 12 --reason "the rule was taken out"
    """
    about, words, who = _reference(what), _worded(reason, "a reason"), person(by)
    line = _change(
        context, "discard", about, who, lambda c, now: by_hand.discard(c, about, words, who, now)
    )
    click.echo(shown.line(line))


def _reference(text: str) -> Reference:
    try:
        return by_hand.parse_reference(text)
    except ValueError as error:
        raise click.UsageError(shown.line(str(error))) from error


def _worded(text: str, what: str) -> str:
    try:
        return by_hand.text_of(text, what)
    except ValueError as error:
        raise click.UsageError(shown.line(str(error))) from error


def _change(
    context: click.Context,
    verb: str,
    about: Reference,
    who: str,
    change: Callable[[sqlite3.Connection, datetime], Result],
) -> Result:
    """In one transaction; a refusal is recorded too, then ends with its words."""
    path, now = settings_of(context).store, datetime.now(UTC)
    try:
        if not store_file.exists(path):
            fail([f"there is no {about}: nothing has been recorded yet ({path})"])
        with store_file.writing(path) as c:
            try:
                return change(c, now)
            except RefusedError as error:
                refusal = str(error)
                by_hand.refused(c, verb, about, refusal, who, now)
        fail([refusal])
    except StoreError as error:
        fail([str(error)])
