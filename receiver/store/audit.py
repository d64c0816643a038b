"""SQL of the audit trail: every decision, refusal, attempt, outcome and human note is one row of events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from receiver.records import Event
from receiver.store import rows

_ALL = 2**62
"""Rows: more than there will ever be."""


@dataclass(frozen=True)
class Wanted:
    """Which rows; None and "" do not narrow it."""

    since: datetime | None = None
    incident_id: int | None = None
    kind: str = ""
    before: int | None = None
    """Rows with a smaller id: the next page, backwards in time."""


def trail(c: Connection, wanted: Wanted, limit: int | None = None) -> Iterator[Event]:
    """The newest first, ``limit`` at most; read as it is asked for."""
    found = c.execute(
        "SELECT id, incident_id, at, kind, words, who FROM events"
        " WHERE (:before IS NULL OR id < :before) AND (:since IS NULL OR at >= :since)"
        " AND (:incident IS NULL OR incident_id = :incident) AND (:kind = '' OR kind = :kind)"
        " ORDER BY id DESC LIMIT :limit",
        {
            "before": wanted.before,
            "since": wanted.since.timestamp() if wanted.since else None,
            "incident": wanted.incident_id,
            "kind": wanted.kind,
            "limit": _ALL if limit is None else limit,
        },
    )
    return (rows.to_event(row) for row in found)
