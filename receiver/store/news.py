"""SQL of whether there is anything new for those who look on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from receiver.store import rows

_PARTS = (
    "SELECT coalesce(max(id), 0) FROM events",
    "SELECT coalesce(max(id), 0) FROM messages",
    "SELECT count(*) FROM messages WHERE revision > delivered",
    "SELECT coalesce(group_concat(id || state || phase || words, ';'), '') FROM steps WHERE state IN ('pending', 'running')",
    "SELECT count(*) || ' ' || coalesce(max(ends_at), 0) FROM windows",
    "SELECT coalesce(sum(number), 0) FROM pictures WHERE state <> 'old'",
)


def edition(c: Connection) -> str:
    """A short text that is another one once there is news. Its cost does not grow with what is over."""
    told = "\n".join(str(c.execute(query).fetchone()[0]) for query in _PARTS)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Post:
    """A message as it was told, or why it was not."""

    kind: str
    notifier: str
    posted_at: datetime | None
    """None: not yet."""
    since: datetime
    error: str


def posts(c: Connection, incident_id: int) -> list[Post]:
    """What people were told of an incident, the oldest first."""
    found = c.execute("SELECT * FROM messages WHERE incident_id = ? ORDER BY id", (incident_id,))
    return [
        Post(
            row["kind"],
            row["notifier"],
            rows.to_at(row["posted_at"]),
            rows.to_time(row["since"]),
            row["error"],
        )
        for row in found
    ]
