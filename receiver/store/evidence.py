"""SQL of what was collected about containers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from sqlite3 import Connection, Row

from receiver import evidence
from receiver.records import EvidenceFile, Step
from receiver.store import rows
from receiver.telling.delivery import File

MOST_KEPT = 50
"""In all; the oldest give way."""
_COLUMNS = "id, incident_id, step_id, container, file, made_at, summary, message_id, attachment_id"


def keep(c: Connection, step: Step, found: evidence.Evidence, now: datetime) -> bool:
    """False where the step has its evidence already."""
    count = c.execute(
        "SELECT count(*) FROM evidence WHERE incident_id = ?", (step.incident_id,)
    ).fetchone()[0]
    made = c.execute(
        "INSERT INTO evidence (incident_id, step_id, container, file, made_at, summary, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (step_id) DO NOTHING",
        (
            step.incident_id,
            step.id,
            found.container,
            evidence.file_name(step.incident_id, count + 1, found.container),
            now.timestamp(),
            found.summary,
            found.body,
        ),
    )
    c.execute(
        "DELETE FROM evidence WHERE id NOT IN (SELECT id FROM evidence ORDER BY id DESC LIMIT ?)",
        (MOST_KEPT,),
    )
    return made.rowcount == 1


def of_incident(c: Connection, incident_id: int) -> list[EvidenceFile]:
    """The oldest first."""
    query = f"SELECT {_COLUMNS} FROM evidence WHERE incident_id = ? ORDER BY id"  # noqa: S608 - names of columns
    return [_file(row) for row in c.execute(query, (incident_id,))]


def texts(c: Connection, incident_id: int) -> dict[int, str]:
    """The whole texts of an incident's evidence, by their numbers."""
    found = c.execute(
        "SELECT id, body FROM evidence WHERE incident_id = ? ORDER BY id", (incident_id,)
    )
    return {row["id"]: row["body"] for row in found}


def to_attach(c: Connection, incident_id: int, message_id: str | None) -> list[File]:
    """What the message does not have yet, as far as we know."""
    found = c.execute(
        "SELECT file, body, summary FROM evidence WHERE incident_id = ? AND coalesce(message_id, '') <> coalesce(?, '') ORDER BY id",
        (incident_id, message_id),
    )
    return [File(row["file"], row["body"].encode(), row["summary"]) for row in found]


def attached(c: Connection, incident_id: int, message_id: str, ids: Mapping[str, str]) -> None:
    """``ids``: of the attachments, by their names."""
    c.executemany(
        "UPDATE evidence SET message_id = ?, attachment_id = ? WHERE incident_id = ? AND file = ?",
        [(message_id, number, incident_id, name) for name, number in ids.items()],
    )


def _file(row: Row) -> EvidenceFile:
    return EvidenceFile(
        id=row["id"],
        incident_id=row["incident_id"],
        step_id=row["step_id"],
        container=row["container"],
        file=row["file"],
        made_at=rows.to_time(row["made_at"]),
        summary=row["summary"],
        message_id=row["message_id"],
        attachment_id=row["attachment_id"],
    )
