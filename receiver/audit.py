"""The audit trail as it leaves the store: as objects, as CSV, and page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from receiver.records import Event
from receiver.store.audit import Wanted, trail

COLUMNS = ("id", "at", "incident_id", "kind", "who", "words")
OURSELVES = "Sermon Monitor"
MOST_A_PAGE = 1000


def row(event: Event) -> dict[str, Any]:
    """One row; ``who`` is never empty."""
    return {name: getattr(event, name) for name in COLUMNS} | {"who": event.who or OURSELVES}


def page(c: Connection, wanted: Wanted, limit: int) -> dict[str, Any]:
    """One page, the newest first; ``next`` is the ``before`` of the page after it, None where that is empty."""
    found = list(trail(c, wanted, limit + 1))
    more = len(found) > limit
    shown = [row(event) for event in found[:limit]]
    return {"audit": shown, "next": shown[-1]["id"] if more else None}


def as_csv(events: Iterable[Event]) -> Iterator[str]:
    """Lines of RFC 4180 with a heading; times are RFC 3339 in UTC."""
    yield _line(COLUMNS)
    for event in events:
        yield _line(_cell(value) for value in row(event).values())


def _line(cells: Iterable[str]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()


def _cell(value: object) -> str:
    """A name of an alert comes from outside: a spreadsheet must not take it for a formula."""
    if value is None:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
