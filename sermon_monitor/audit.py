"""``sermon-monitor audit``: what was decided, refused, tried, reached and noted, and by whom."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo

import click

from receiver.audit import as_csv, row
from receiver.records import Event
from receiver.store.audit import Wanted, trail
from receiver.store.database import StoreError
from sermon_monitor import shown, store_file
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import deployment_option, fail, settings_of
from target.durations import parse_duration
from target.times import parse_rfc3339

LAST = 50


def since(text: str, now: datetime) -> datetime:
    """``2h`` ago, a day in UTC or an RFC 3339 time. Raises ValueError."""
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return parse_rfc3339(f"{text}T00:00:00Z" if len(text) == len("2026-03-01") else text)
    except ValueError:
        raise ValueError(
            f"allowed: a duration like 2h or 7d, a day like 2026-03-01 (UTC), or an RFC 3339 time; got {text!r}"
        ) from None


@click.command("audit")
@click.option("--since", "begin", metavar="TIME", help="Not before: 2h, 7d, 2026-03-01, RFC 3339.")
@click.option("--incident", type=click.IntRange(min=1), help="Of this incident only.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"The newest so many (default: {LAST}; with --since, --json or --csv: all).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
@click.option("--csv", "csv", is_flag=True, help="Print the rows as CSV.")
@deployment_option
@click.pass_context
def audit_command(
    context: click.Context,
    begin: str | None,
    incident: int | None,
    limit: int | None,
    as_json: bool,
    csv: bool,
) -> None:
    """List the audit trail, the newest last.

    Example: sermon-monitor audit --since 7d --csv > audit.csv
    """
    if as_json and csv:
        raise click.UsageError("allowed: --json or --csv")
    try:
        wanted = Wanted(since(begin, datetime.now(UTC)) if begin else None, incident)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    whole = as_json or csv or begin is not None
    settings = settings_of(context)
    try:
        found = _found(settings, wanted, limit or (None if whole else LAST))
    except StoreError as error:
        fail([str(error)])
    _print(found, settings.zone, as_json=as_json, csv=csv)


def _found(settings: Settings, wanted: Wanted, limit: int | None) -> list[Event]:
    if not store_file.exists(settings.store):
        return []
    with store_file.looking(settings.store) as connection:
        return list(trail(connection, wanted, limit))[::-1]


def _print(found: Sequence[Event], zone: tzinfo, *, as_json: bool, csv: bool) -> None:
    if as_json:
        click.echo("\n".join(_json(found)))
    elif csv:
        for line in as_csv(found):
            click.echo(line, nl=False)
    else:
        shown.audit([row(event) for event in found], zone)


def _json(found: Sequence[Event]) -> Iterator[str]:
    yield '{"audit": ['
    for number, event in enumerate(found, 1):
        comma = "," if number < len(found) else ""
        yield f" {json.dumps(row(event), default=shown.written)}{comma}"
    yield "]}"
