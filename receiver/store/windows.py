"""SQL of maintenance windows."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection, Row

from receiver.records import Window, WindowOrigin
from receiver.store import rows


def open_window(
    c: Connection,
    starts_at: datetime,
    ends_at: datetime,
    reason: str,
    origin: WindowOrigin,
    now: datetime,
    *,
    who: str = "",
    silence: bool = False,
    about: datetime | None = None,
) -> bool:
    """False for an occurrence of a recurring window, or a deployment's, that is known: it stays as it is.

    ``about``: when the version began that a deployment's window is for; else its own beginning counts.
    """
    made = c.execute(
        "INSERT INTO windows (starts_at, ends_at, reason, origin, made_at, who, silence, about)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            starts_at.timestamp(),
            ends_at.timestamp(),
            reason,
            origin,
            now.timestamp(),
            who,
            silence,
            (about or starts_at).timestamp(),
        ),
    )
    return made.rowcount == 1


def end_windows(c: Connection, now: datetime) -> int:
    """End what is open now, and call off what is still to come by hand. Returns how many there were."""
    ended = c.execute(
        "UPDATE windows SET ends_at = :now, starts_at = min(starts_at, :now),"
        " told = CASE WHEN starts_at > :now THEN 2 ELSE told END"
        " WHERE ends_at > :now AND (starts_at <= :now OR origin = 'person')",
        {"now": now.timestamp()},
    )
    return ended.rowcount


def keep_begun(c: Connection, now: datetime) -> None:
    """A window by hand that was told as begun has begun, also where the clock was set back since: people work."""
    c.execute(
        "UPDATE windows SET starts_at = :now WHERE told = 1 AND origin = 'person' AND starts_at > :now",
        {"now": now.timestamp()},
    )


def active(c: Connection, now: datetime) -> Window | None:
    """The open window that lasts longest."""
    row = c.execute(
        "SELECT * FROM windows WHERE starts_at <= :now AND ends_at > :now ORDER BY ends_at DESC LIMIT 1",
        {"now": now.timestamp()},
    ).fetchone()
    return _window(row) if row else None


def windows(c: Connection, limit: int = 50) -> list[Window]:
    """The newest first."""
    query = "SELECT * FROM windows ORDER BY starts_at DESC, id DESC LIMIT ?"
    return [_window(row) for row in c.execute(query, (limit,))]


def of_deployments(c: Connection, before: datetime) -> list[Window]:
    """Windows that opened by themselves around deployments and began before a moment, the newest first."""
    query = (
        "SELECT * FROM windows WHERE origin = 'deployment' AND who = '' AND starts_at < ?"
        " ORDER BY starts_at DESC LIMIT 20"
    )
    return [_window(row) for row in c.execute(query, (before.timestamp(),))]


def shorten_expected(c: Connection, until: datetime, now: datetime) -> None:
    """Open windows that somebody opened for a deployment to come end with the grace of what has come."""
    c.execute(
        "UPDATE windows SET ends_at = :until WHERE origin = 'deployment' AND who <> ''"
        " AND starts_at <= :now AND ends_at > :until",
        {"until": until.timestamp(), "now": now.timestamp()},
    )


def mirrored(c: Connection, since: datetime, now: datetime) -> list[Window]:
    """Windows that Alertmanager is to be silent in: those that have begun and ended after ``since`` or not yet."""
    query = "SELECT * FROM windows WHERE silence = 1 AND starts_at <= ? AND ends_at > ? ORDER BY id"
    return [_window(row) for row in c.execute(query, (now.timestamp(), since.timestamp()))]


def to_tell(c: Connection, now: datetime) -> list[Window]:
    """Windows whose beginning or end has come and has not been told."""
    query = (
        "SELECT * FROM windows WHERE told < 2 AND CASE told WHEN 0 THEN starts_at ELSE ends_at END <= :now"
        " ORDER BY starts_at, id"
    )
    return [_window(row) for row in c.execute(query, {"now": now.timestamp()})]


def told(c: Connection, window: Window, stage: int) -> None:
    c.execute("UPDATE windows SET told = ? WHERE id = ?", (stage, window.id))


def next_change(c: Connection) -> datetime | None:
    """When a window next begins or ends, of those that have not been told of."""
    row = c.execute(
        "SELECT min(CASE told WHEN 0 THEN starts_at ELSE ends_at END) FROM windows WHERE told < 2"
    ).fetchone()
    return rows.to_at(row[0])


def _window(row: Row) -> Window:
    return Window(
        id=row["id"],
        starts_at=rows.to_time(row["starts_at"]),
        ends_at=rows.to_time(row["ends_at"]),
        reason=row["reason"],
        origin=row["origin"],
        told=row["told"],
        who=row["who"],
        silence=bool(row["silence"]),
    )
