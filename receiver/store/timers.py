"""SQL that moves everything which waits for a time: for when the clock itself was set."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection
from typing import Any

from receiver.store import rows
from target.times import parse_rfc3339

_MOMENTS = ("_until", "_since", "_at")
"""Names in a running step's detail whose values are times by our own clock."""


def last_record(c: Connection) -> datetime | None:
    """When the newest line of the audit trail was written, by the clock of then."""
    row = c.execute("SELECT at FROM events ORDER BY id DESC LIMIT 1").fetchone()
    return rows.to_at(row["at"]) if row else None


def move(c: Connection, by: timedelta, since: datetime) -> list[int]:
    """What was to come in two minutes still comes in two minutes. Returns the incidents that moved.

    Incidents that are open, or ended after ``since``, move as a whole, so that their budgets and the order
    of what was done stay right; with them go their approvals, whose ends stay whole seconds, because they
    stand in the links. A window that a deployment opened moves while it is not over. What else has happened
    keeps the time that it was given, and so does a window of people's: they agreed on its times.
    """
    query = "SELECT id FROM incidents WHERE state = 'open' OR resolved_at >= ?"
    moved = [row["id"] for row in c.execute(query, (since.timestamp(),)).fetchall()]
    given = {"by": by.total_seconds(), "moved": json.dumps(moved)}
    mine = "(SELECT CAST(value AS BIGINT) FROM json_each(:moved))"
    for row in c.execute("SELECT id, detail FROM steps WHERE state = 'running'").fetchall():
        detail = {key: _moved(key, value, by) for key, value in json.loads(row["detail"]).items()}
        c.execute("UPDATE steps SET detail = ? WHERE id = ?", (json.dumps(detail), row["id"]))
    c.execute(
        f"UPDATE steps SET due_at = due_at + :by, started_at = started_at + :by, ended_at = ended_at + :by WHERE incident_id IN {mine}",  # noqa: S608 - a constant
        given,
    )
    c.execute(
        f"UPDATE incidents SET opened_at = opened_at + :by, ladder_at = ladder_at + :by, resolved_at = resolved_at + :by, check_at = check_at + :by WHERE id IN {mine}",  # noqa: S608 - a constant
        given,
    )
    c.execute(
        "UPDATE messages SET due_at = due_at + :by, since = since + :by, sent_at = sent_at + :by, rang_at = rang_at + :by, posted_at = posted_at + :by",
        given,
    )
    c.execute(
        f"UPDATE approvals SET asked_at = asked_at + :by, expires_at = round(expires_at + :by), decided_at = decided_at + :by, holds_until = holds_until + :by, used_at = used_at + :by WHERE incident_id IN {mine}",  # noqa: S608 - a constant
        given,
    )
    c.execute(
        "UPDATE windows SET starts_at = starts_at + :by, ends_at = ends_at + :by WHERE origin = 'deployment' AND told < 2",
        given,
    )
    return moved


def _moved(key: str, value: Any, by: timedelta) -> Any:
    if not key.endswith(_MOMENTS) or not isinstance(value, str):
        return value
    try:
        moment = (parse_rfc3339(value) + by).astimezone(UTC)
    except (ValueError, OverflowError):  # no time of the clock's
        return value
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
