"""SQL of what GitHub sends by itself: each delivery once, and which step it is about."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

KEPT = 1000


def is_new(c: Connection, delivery: str, now: datetime) -> bool:
    """False where it was taken before."""
    made = c.execute(
        "INSERT INTO deliveries (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING number",
        (delivery, now.timestamp()),
    ).fetchone()
    if made is None:
        return False
    c.execute("DELETE FROM deliveries WHERE number <= ?", (made["number"] - KEPT,))
    return True


def hasten(c: Connection, run_id: int, title: str, now: datetime) -> int:
    """Look at a followed run, or for one whose name has our correlation id, now. How many steps that is."""
    found = c.execute(
        "UPDATE steps SET due_at = min(due_at, :now) WHERE state = 'running' AND action = 'rollback' AND ("
        " (phase = 'following' AND CAST(detail ->> 'run_id' AS BIGINT) = :run)"
        " OR (phase = 'searching' AND instr(:title, detail ->> 'correlation_id') > 0))",
        {"now": now.timestamp(), "run": run_id, "title": title},
    )
    return found.rowcount
