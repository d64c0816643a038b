"""SQL of our own gauges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from receiver.store import approvals, rows


@dataclass(frozen=True)
class Figures:
    """What our own gauges say."""

    outbox_depth: int
    outbox_since: datetime | None
    open: dict[str, int]
    heartbeat: datetime | None
    approvals: int
    """How many questions wait for a person."""


def figures(c: Connection) -> Figures:
    waiting = c.execute(
        "SELECT count(*), min(since) FROM messages WHERE revision > delivered"
    ).fetchone()
    by_severity = c.execute(
        "SELECT severity, count(*) FROM incidents WHERE state = 'open' GROUP BY severity"
    )
    last = c.execute("SELECT max(last_at) FROM heartbeats").fetchone()
    return Figures(
        outbox_depth=waiting[0],
        outbox_since=rows.to_at(waiting[1]),
        open=dict(by_severity.fetchall()),
        heartbeat=rows.to_at(last[0]),
        approvals=approvals.waiting(c),
    )
