"""SQL of what GitHub sends by itself: each delivery once, and which step it is about."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

KEPT = 1000


def is_new(c: Connection, delivery: str, now: datetime) -> bool:
    """False where it was taken before."""
    made = c.execute(
        "INSERT INTO deliveries (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (delivery, now.timestamp()),
    )
    if made.rowcount != 1:
        return False
    c.execute("DELETE FROM deliveries WHERE number <= ?", ((made.lastrowid or 0) - KEPT,))
    return True


def hasten(c: Connection, run_id: int, title: str, now: datetime) -> int:
    """Look at a followed run, or for one whose name has our correlation id, now. How many steps that is."""
    found = c.execute(
        "UPDATE steps SET due_at = min(due_at, :now) WHERE state = 'running' AND action = 'rollback' AND ("
        " (phase = 'following' AND json_extract(detail, '$.run_id') = :run)"
        " OR (phase = 'searching' AND instr(:title, json_extract(detail, '$.correlation_id')) > 0))",
        {"now": now.timestamp(), "run": run_id, "title": title},
    )
    return found.rowcount
