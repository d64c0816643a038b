"""The short message that a critical incident is over, for those whom it had rung: edits notify nobody."""

from __future__ import annotations

from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.store import messages
from receiver.store.heard import RESOLVED
from receiver.store.history import History, read_history
from receiver.telling.markdown import clean
from receiver.telling.note import Note
from receiver.telling.view import person_called
from receiver.telling.words import load, one_line
from target.durations import format_duration

_WORDS = load("notes.j2")


def resolved_note(history: History, now: datetime) -> Note:
    """Pure."""
    incident = history.incident
    worst = max(history.alerts, key=lambda alert: alert.severity == "critical", default=None)
    lead = clean(worst.annotations.get("summary", "") or worst.name, 160) if worst else ""
    ended = incident.resolved_at or now
    lasted = timedelta(seconds=max(0, int((ended - incident.opened_at).total_seconds())))
    return Note(
        short=True,
        title=one_line(_WORDS.resolved_title(lead, clean(incident.service, 60))),
        text=one_line(
            _WORDS.resolved_text(
                incident.id,
                format_duration(lasted),
                clean(incident.verdict, 480),
                person_called(history),
                incident.reopened,
            )
        ),
    )


def tell_resolved(c: Connection, incident_id: int, now: datetime) -> None:
    """Put it into the outbox, in the transaction that resolves. Whether anybody was rung is known when it is sent."""
    history = read_history(c, incident_id, now)
    if history is None or history.incident.severity != "critical":
        return
    for notifier in messages.card_notifiers(c, incident_id):
        note = resolved_note(history, now)
        messages.add_note(c, note, notifier, now, incident_id=incident_id, topic=RESOLVED)
