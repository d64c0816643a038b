"""SQL of the pictures of signals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from sqlite3 import Connection, Row

from receiver.records import PictureFile
from receiver.store import rows
from receiver.telling.delivery import File

MOST_KEPT = 50
"""Of incidents that are over."""
SETTLES = timedelta(seconds=75)
"""After the end of an incident, until Prometheus has seen what came of it and the last card is told."""
FORGOTTEN = timedelta(hours=2)
"""After its end, nobody looks for the picture of an end any more."""
_COLUMNS = (
    "incident_id, state, number, words, width, height, body IS NOT NULL AS kept, problem, alert_id,"
    " tries, message_id, attachment_id"
)


def file_name(incident_id: int, number: int) -> str:
    return f"incident-{incident_id}-signal-{number}.png"


def due(c: Connection, now: datetime) -> tuple[int | None, datetime | None]:
    """The incident whose picture is to be drawn, and when the next is, as far as is known.

    Makes a row for each incident that is open and has none, and wants the last picture of each that is over.
    """
    at = now.timestamp()
    c.execute(
        "INSERT INTO pictures (incident_id, state, again_at) SELECT id, 'wanted', ? FROM incidents"
        " WHERE state = 'open' AND digest = 0 AND NOT EXISTS (SELECT 1 FROM pictures WHERE incident_id = incidents.id)",
        (at,),
    )
    c.execute(
        "UPDATE pictures SET state = 'wanted', tries = 0, again_at = incidents.resolved_at + ?"
        " FROM incidents WHERE incidents.id = pictures.incident_id AND pictures.state IN ('drawn', 'given up')"
        " AND incidents.state = 'resolved' AND incidents.resolved_at > coalesce(shown_until, 0)"
        " AND incidents.resolved_at > ?",
        (SETTLES.total_seconds(), (now - FORGOTTEN).timestamp()),
    )
    row = c.execute(
        "SELECT incident_id, again_at FROM pictures WHERE state = 'wanted' ORDER BY again_at LIMIT 1"
    ).fetchone()
    if row is None:
        return None, None
    if row["again_at"] <= at:
        return row["incident_id"], now
    return None, rows.to_time(row["again_at"])


def followed(c: Connection) -> bool:
    """Whether an incident is open whose end will want a picture."""
    query = "SELECT 1 FROM incidents WHERE state = 'open' AND digest = 0"
    return c.execute(query).fetchone() is not None


def keep(
    c: Connection,
    incident_id: int,
    alert_id: int,
    body: bytes,
    size: tuple[int, int],
    words: str,
    until: datetime,
) -> None:
    """wanted -> drawn. ``size``: width and height in pixels."""
    c.execute(
        "UPDATE pictures SET state = 'drawn', problem = '', number = number + 1, shown_until = ?, alert_id = ?,"
        " words = ?, body = ?, width = ?, height = ?, message_id = NULL, attachment_id = NULL"
        " WHERE incident_id = ? AND state = 'wanted'",
        (until.timestamp(), alert_id, words, body, *size, incident_id),
    )
    c.execute(
        "UPDATE pictures SET state = 'old', body = NULL WHERE state IN ('drawn', 'given up') AND incident_id IN"
        " (SELECT p.incident_id FROM pictures AS p JOIN incidents AS i ON i.id = p.incident_id"
        " WHERE p.state <> 'old' AND i.state = 'resolved' ORDER BY p.incident_id DESC LIMIT 1000000 OFFSET ?)",
        (MOST_KEPT,),
    )


def not_drawn(
    c: Connection, incident_id: int, problem: str, again: datetime | None, now: datetime
) -> None:
    """To be tried again at a time; None: wanted -> given up."""
    c.execute(
        "UPDATE pictures SET tries = tries + 1, problem = :problem, state = CASE WHEN :again IS NULL THEN 'given up' ELSE state END,"
        " again_at = coalesce(:again, again_at), shown_until = CASE WHEN :again IS NULL THEN :now ELSE shown_until END"
        " WHERE incident_id = :incident AND state = 'wanted'",
        {
            "problem": problem,
            "again": again.timestamp() if again else None,
            "now": now.timestamp(),
            "incident": incident_id,
        },
    )


def of_incident(c: Connection, incident_id: int) -> PictureFile | None:
    query = f"SELECT {_COLUMNS} FROM pictures WHERE incident_id = ?"  # noqa: S608 - names of columns
    row = c.execute(query, (incident_id,)).fetchone()
    return _picture(row) if row else None


def body(c: Connection, incident_id: int) -> bytes | None:
    """The PNG; None where there is none."""
    row = c.execute("SELECT body FROM pictures WHERE incident_id = ?", (incident_id,)).fetchone()
    return row["body"] if row else None


def to_attach(c: Connection, incident_id: int, message_id: str | None) -> list[File]:
    """What the message does not have yet, as far as we know: one file, or none."""
    row = c.execute(
        "SELECT number, body, words FROM pictures WHERE incident_id = ? AND body IS NOT NULL AND coalesce(message_id, '') <> coalesce(?, '')",
        (incident_id, message_id),
    ).fetchone()
    if row is None:
        return []
    before = tuple(file_name(incident_id, number) for number in range(1, row["number"]))
    name = file_name(incident_id, row["number"])
    return [File(name, row["body"], row["words"], "image/png", before)]


def attached(c: Connection, incident_id: int, message_id: str, ids: Mapping[str, str]) -> None:
    """``ids``: of the attachments, by their names. One that was drawn anew meanwhile is still to come."""
    row = c.execute("SELECT number FROM pictures WHERE incident_id = ?", (incident_id,)).fetchone()
    number = ids.get(file_name(incident_id, row["number"])) if row else None
    if number is not None:
        c.execute(
            "UPDATE pictures SET message_id = ?, attachment_id = ? WHERE incident_id = ?",
            (message_id, number, incident_id),
        )


def _picture(row: Row) -> PictureFile:
    return PictureFile(
        incident_id=row["incident_id"],
        state=row["state"],
        number=row["number"],
        file=file_name(row["incident_id"], row["number"]),
        words=row["words"],
        width=row["width"],
        height=row["height"],
        kept=bool(row["kept"]),
        problem=row["problem"],
        alert_id=row["alert_id"],
        tries=row["tries"],
        message_id=row["message_id"],
        attachment_id=row["attachment_id"],
    )
