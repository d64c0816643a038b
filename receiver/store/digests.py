"""SQL of the daily digest: which were due, and what happened in a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from sqlite3 import Connection

from receiver.digest.slot import Last, Period
from receiver.records import Incident, Window
from receiver.store import rows, windows

_MOST = 40


def last(c: Connection, now: datetime) -> Last | None:
    """The last digest by our own record; one of the future was made by a clock that was wrong."""
    row = c.execute(
        "SELECT day, covers_from, covers_to, (SELECT 1 FROM messages WHERE messages.id = digests.message_id"
        " AND revision > delivered) AS waits FROM digests WHERE due_at <= ? ORDER BY due_at DESC LIMIT 1",
        (now.timestamp(),),
    ).fetchone()
    if row is None:
        return None
    unsent = rows.to_time(row["covers_from"]) if row["waits"] else None
    return Last(date.fromisoformat(row["day"]), rows.to_time(row["covers_to"]), unsent)


def begin(c: Connection, day: date, due_at: datetime, now: datetime) -> None:
    """Nothing was due before we began; the first digest covers from ``now``."""
    at = now.timestamp()
    c.execute(
        "INSERT INTO digests (day, due_at, covers_from, covers_to) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (day.isoformat(), due_at.timestamp(), at, at),
    )


def claim(c: Connection, period: Period) -> bool:
    """False where that day has had its digest."""
    made = c.execute(
        "INSERT INTO digests (day, due_at, covers_from, covers_to) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            period.day.isoformat(),
            period.due_at.timestamp(),
            period.since.timestamp(),
            period.until.timestamp(),
        ),
    )
    return made.rowcount == 1


def posted(c: Connection, period: Period, message_id: int) -> None:
    c.execute(
        "UPDATE digests SET message_id = ? WHERE day = ?", (message_id, period.day.isoformat())
    )


@dataclass(frozen=True)
class Happened:
    """What the store knows of a time. Counts are of that time; ``open`` is of now."""

    opened: dict[str, int]
    """Incidents by severity."""
    resolved: int
    open: tuple[Incident, ...]
    alerts: tuple[tuple[str, str, int], ...]
    """Name, severity, how often; the severest and most frequent first."""
    steps: tuple[tuple[str, str, int], ...]
    """Action, how it ended, how often."""
    held: tuple[tuple[str, str, int], ...]
    """What a gate held back: the action, gate and reason, how often."""
    windows: tuple[Window, ...]


def happened(c: Connection, since: datetime, until: datetime) -> Happened:
    span = {"since": since.timestamp(), "until": until.timestamp(), "most": _MOST}
    opened = c.execute(
        "SELECT severity, count(*) FROM incidents WHERE opened_at >= :since AND opened_at < :until AND digest = 0 GROUP BY severity",
        span,
    )
    resolved = c.execute(
        "SELECT count(*) FROM incidents WHERE resolved_at >= :since AND resolved_at < :until AND digest = 0",
        span,
    ).fetchone()[0]
    still = c.execute("SELECT * FROM incidents WHERE state = 'open' AND digest = 0 ORDER BY id")
    alerts = c.execute(
        "SELECT name, severity, count(*) FROM alerts WHERE first_seen >= :since AND first_seen < :until GROUP BY name, severity"
        " ORDER BY CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, count(*) DESC, name LIMIT :most",
        span,
    )
    steps = c.execute(
        "SELECT action, state, count(*) FROM steps WHERE state IN ('done', 'failed') AND ended_at >= :since AND ended_at < :until"
        " GROUP BY action, state ORDER BY action, state",
        span,
    )
    held = c.execute(
        "SELECT kind, words, count(*) FROM events WHERE at >= :since AND at < :until AND (kind LIKE '% refuse' OR kind LIKE '% wait')"
        " GROUP BY kind, words ORDER BY kind LIKE '% wait', count(*) DESC, min(id) LIMIT :most",
        span,
    )
    return Happened(
        opened=dict(tuple(row) for row in opened),
        resolved=resolved,
        open=tuple(rows.to_incident(row) for row in still),
        alerts=tuple((row[0], row[1], row[2]) for row in alerts),
        steps=tuple((row[0], row[1], row[2]) for row in steps),
        held=tuple((row[0].split(" ")[0], row[1], row[2]) for row in held),
        windows=tuple(
            one for one in windows.windows(c) if one.starts_at < until and one.ends_at > since
        ),
    )
