"""SQL of what people have heard of an incident so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from receiver.records import Ring
from receiver.store import rows

RESOLVED = "resolved"
"""The topic of the note that an incident is over."""


@dataclass(frozen=True)
class Heard:
    """What of an incident has been heard so far."""

    posted_at: datetime | None
    posted_ring: Ring
    """When and how loudly its card was first posted."""
    called_at: datetime | None
    """When a call last went out."""
    told_over_at: datetime | None = None
    """When it was last told apart from the card that it is over."""
    card_id: str | None = None
    """The message that is its card."""

    @property
    def wait_for_the_end(self) -> bool:
        """Somebody was rung, and has not been told since that it is over."""
        rung = [self.posted_at] if self.posted_ring > Ring.SILENT else []
        times = [at for at in (*rung, self.called_at) if at is not None]
        return bool(times) and (self.told_over_at is None or max(times) > self.told_over_at)


def heard(c: Connection, incident_id: int) -> Heard:
    card = c.execute(
        "SELECT posted_at, posted_ring, message_id FROM messages WHERE incident_id = ? AND kind = 'card'",
        (incident_id,),
    ).fetchone()
    last = c.execute(
        "SELECT max(sent_at) FILTER (WHERE kind = 'call') AS call, max(sent_at) FILTER (WHERE topic = ?) AS over"
        " FROM messages WHERE incident_id = ? AND kind IN ('call', 'note') AND message_id IS NOT NULL",
        (RESOLVED, incident_id),
    ).fetchone()
    return Heard(
        posted_at=rows.to_at(card["posted_at"]) if card else None,
        posted_ring=Ring(card["posted_ring"]) if card else Ring.SILENT,
        card_id=card["message_id"] if card else None,
        called_at=rows.to_at(last["call"]),
        told_over_at=rows.to_at(last["over"]),
    )
