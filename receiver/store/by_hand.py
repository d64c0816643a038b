"""SQL of what a person sees and does by hand: notes, and messages that could not be told."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

from receiver.records import Event, Message
from receiver.store import rows


def troubled(c: Connection, incident_id: int | None = None) -> list[Message]:
    """What waits, and what was given up; of one incident, or of all. Each half has an index of its own."""
    query = (
        "SELECT * FROM (SELECT * FROM messages WHERE revision > delivered"
        " UNION SELECT * FROM messages WHERE error <> '') AS found"
        " WHERE :incident IS NULL OR incident_id = :incident ORDER BY id"
    )
    return [rows.to_message(row) for row in c.execute(query, {"incident": incident_id})]


def retry_message(c: Connection, message_id: int, now: datetime) -> None:
    """Waiting or given up -> due now, as if it had never been tried; its first post may exist all the same."""
    c.execute(
        "UPDATE messages SET delivered = min(delivered, revision - 1), due_at = :now, since = :now"
        " WHERE id = :id",
        {"now": now.timestamp(), "id": message_id},
    )


def notes(c: Connection, incident_id: int) -> list[Event]:
    """What people have noted, the newest last."""
    query = "SELECT * FROM events WHERE incident_id = ? AND kind = 'note' ORDER BY id"
    return [rows.to_event(row) for row in c.execute(query, (incident_id,))]
