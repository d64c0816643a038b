"""SQL of what was to wake people and has not reached them.

That they were told another way stands in the audit trail, as events of the kinds TOLD and OVER, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.store import messages, rows

TOLD, OVER = "told elsewhere", "told elsewhere that it is over"
REMEMBERED = timedelta(days=1)
"""Who was woken longer ago is not told any more that it is over."""


@dataclass(frozen=True)
class Unheard:
    """An open incident that rang where nobody could hear it."""

    incident_id: int
    notifier: str
    since: datetime


def waiting(c: Connection, before: datetime) -> list[Unheard]:
    """Those that rang at ``before`` or earlier, once for each ringing, the oldest first."""
    found = c.execute(
        "SELECT incident_id, min(notifier) AS notifier, min(rang) AS since FROM"
        " (SELECT m.incident_id, m.notifier, coalesce(m.rang_at, m.since) AS rang FROM messages AS m"
        " JOIN incidents ON incidents.id = m.incident_id AND incidents.state = 'open'"
        " WHERE m.ping > 0 AND m.kind IN ('card', 'call') AND m.posted_at IS NULL"
        " AND (m.revision > m.delivered OR m.error <> '')) AS rung"
        " WHERE rang <= :before AND rang > coalesce((SELECT max(at) FROM events"
        " WHERE events.incident_id = rung.incident_id AND events.kind = :told), 0)"
        " GROUP BY incident_id ORDER BY since",
        {"before": before.timestamp(), "told": TOLD},
    )
    return [
        Unheard(row["incident_id"], row["notifier"], rows.to_time(row["since"])) for row in found
    ]


def over(c: Connection, now: datetime) -> list[int]:
    """Incidents that are over, of which people were told elsewhere, and not yet that they are."""
    found = c.execute(
        "SELECT id FROM incidents WHERE state = 'resolved' AND resolved_at > :since"
        " AND coalesce((SELECT max(at) FROM events WHERE incident_id = incidents.id AND kind = :told), 0)"
        " > coalesce((SELECT max(at) FROM events WHERE incident_id = incidents.id AND kind = :over), 0)"
        " ORDER BY id",
        {"since": (now - REMEMBERED).timestamp(), "told": TOLD, "over": OVER},
    )
    return [row["id"] for row in found]


def told(c: Connection, incident_id: int, words: str, now: datetime, *, ended: bool) -> None:
    messages.add_event(c, incident_id, OVER if ended else TOLD, words, now)
