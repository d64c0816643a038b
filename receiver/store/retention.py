"""SQL of forgetting: what ended long ago goes, a few incidents a transaction, and the newest always stay."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

KEPT_AT_LEAST = 200
"""Incidents, however old they seem: a clock of the year 2099 forgets no more than that either."""
_AT_ONCE = 50
_OF_INCIDENTS = ("pictures", "approvals", "evidence", "messages", "events", "alerts", "steps")
"""In this order: each refers only to what comes after it, and to incidents."""


def forget(c: Connection, before: datetime) -> int:
    """Delete incidents that ended before then, with all that is of them. Returns how many; 0: no more."""
    moment = before.timestamp()
    old = [
        row[0]
        for row in c.execute(
            "SELECT id FROM incidents WHERE state = 'resolved' AND resolved_at < :moment"
            " AND id <= (SELECT max(id) FROM incidents) - :kept"
            " AND NOT EXISTS (SELECT 1 FROM messages WHERE incident_id = incidents.id AND revision > delivered AND error = '')"
            " AND NOT EXISTS (SELECT 1 FROM steps WHERE incident_id = incidents.id AND state IN ('pending', 'running'))"
            " ORDER BY id LIMIT :most",
            {"moment": moment, "kept": KEPT_AT_LEAST, "most": _AT_ONCE},
        )
    ]
    marks = ", ".join("?" * len(old))
    for table in _OF_INCIDENTS if old else ():
        if table == "messages":
            c.execute(f"UPDATE digests SET message_id = NULL WHERE message_id IN (SELECT id FROM messages WHERE incident_id IN ({marks}))", old)  # noqa: S608  # fmt: skip
        c.execute(f"DELETE FROM {table} WHERE incident_id IN ({marks})", old)  # noqa: S608 - marks alone
    if old:
        c.execute(f"DELETE FROM incidents WHERE id IN ({marks})", old)  # noqa: S608
    return len(old)


def forget_the_rest(c: Connection, before: datetime) -> int:
    """What belongs to no incident: events, notes, windows and digests. Returns how many rows; 0: no more.

    The newest of each stay: by the last digest it is known what the next one covers.
    """
    moment, gone = before.timestamp(), 0
    for table, key, when, also in (
        ("events", "id", "at", "incident_id IS NULL"),
        ("windows", "id", "ends_at", "told = 2"),
        ("digests", "rowid", "due_at", "due_at < (SELECT max(due_at) FROM digests)"),
        ("messages", "id", "since", "incident_id IS NULL AND revision <= delivered AND NOT EXISTS (SELECT 1 FROM digests WHERE message_id = messages.id)"),
    ):  # fmt: skip
        gone += c.execute(
            f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {when} < ? AND {also}"  # noqa: S608 - names of our own
            f" AND {key} <= (SELECT max({key}) FROM {table}) - {KEPT_AT_LEAST} LIMIT 500)",
            (moment,),
        ).rowcount
    return gone


def slack(c: Connection) -> tuple[int, int]:
    """Bytes of the file that hold nothing, and bytes of the file."""
    size = c.execute("PRAGMA page_size").fetchone()[0]
    free = c.execute("PRAGMA freelist_count").fetchone()[0]
    return free * size, c.execute("PRAGMA page_count").fetchone()[0] * size
