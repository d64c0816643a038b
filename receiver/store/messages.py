"""SQL of what goes out to people, of the audit trail and of our own figures."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.evidence import Evidence
from receiver.records import Event, Message, Ring, Step
from receiver.store import bulk, evidence, pictures, rows
from receiver.telling.note import Note

EDIT_EVERY = timedelta(seconds=1)
"""A new card goes out at once; what follows within a moment, as the alerts of one cause do, is one edit."""


def touch_card(c: Connection, incident_id: int, notifier: str, ring: Ring, now: datetime) -> None:
    """There is news for an incident's card; the first news makes the card.

    A card rings when it is made. One that was made more quietly than it now should be, gets a message
    beside it, because Discord lets no edit ring.
    """
    row = c.execute(
        "INSERT INTO messages (incident_id, kind, notifier, ping, rang_at, revision, due_at, since)"
        " VALUES (:incident, 'card', :notifier, :ring, CASE WHEN :ring > 0 THEN :now END, 1, :now, :now)"
        " ON CONFLICT (incident_id, notifier) WHERE kind = 'card' DO UPDATE SET"
        " since = CASE WHEN messages.revision > messages.delivered THEN messages.since ELSE :now END,"
        " due_at = CASE WHEN messages.revision > messages.delivered THEN messages.due_at ELSE max(:now, coalesce(messages.sent_at + :pace, 0)) END,"
        " revision = messages.revision + 1,"
        " ping = CASE WHEN messages.message_id IS NULL THEN max(messages.ping, :ring) ELSE messages.ping END,"
        " rang_at = CASE WHEN messages.message_id IS NULL AND :ring > 0 THEN :now ELSE messages.rang_at END"
        " RETURNING id, ping, message_id",
        {
            "incident": incident_id,
            "notifier": notifier,
            "ring": int(ring),
            "pace": EDIT_EVERY.total_seconds(),
            "now": now.timestamp(),
        },
    ).fetchone()
    if ring > row["ping"]:
        c.execute(
            "UPDATE messages SET ping = ?, rang_at = ? WHERE id = ?",
            (int(ring), now.timestamp(), row["id"]),
        )
        add_call(c, incident_id, notifier, ring, now)


def touch_cards(c: Connection, incident_id: int, now: datetime) -> None:
    """News for the card of an incident wherever it has one."""
    for notifier in card_notifiers(c, incident_id):
        touch_card(c, incident_id, notifier, Ring.SILENT, now)


def record(
    c: Connection, incident_id: int, kind: str, words: str, now: datetime, *, who: str = ""
) -> None:
    """One line of the audit trail, and news for the card where the incident has one."""
    add_event(c, incident_id, kind, words, now, who=who)
    touch_cards(c, incident_id, now)


def card_notifiers(c: Connection, incident_id: int) -> list[str]:
    """Where an incident has a card."""
    found = c.execute(
        "SELECT notifier FROM messages WHERE incident_id = ? AND kind = 'card'", (incident_id,)
    )
    return [row["notifier"] for row in found]


def ring_again(
    c: Connection, incident_id: int, notifier: str, ring: Ring, now: datetime, quiet: timedelta
) -> None:
    """Ring beside a card that rang before; not within ``quiet`` of the last time."""
    due = c.execute(
        "UPDATE messages SET rang_at = :now WHERE incident_id = :incident AND kind = 'card'"
        " AND message_id IS NOT NULL AND (rang_at IS NULL OR rang_at <= :before)",
        {
            "now": now.timestamp(),
            "incident": incident_id,
            "before": (now - quiet).timestamp(),
        },
    )
    if due.rowcount:
        add_call(c, incident_id, notifier, ring, now)


def card_exists(c: Connection, incident_id: int) -> bool:
    return (
        c.execute(
            "SELECT 1 FROM messages WHERE incident_id = ? AND kind = 'card'", (incident_id,)
        ).fetchone()
        is not None
    )


def touch_files(c: Connection, incident_id: int, notifier: str, now: datetime) -> None:
    """There is evidence, or a picture, to be attached to an incident's card."""
    c.execute(
        "INSERT INTO messages (incident_id, kind, notifier, ping, revision, due_at, since)"
        " VALUES (:incident, 'files', :notifier, 0, 1, :now, :now)"
        " ON CONFLICT (incident_id, notifier) WHERE kind = 'files' DO UPDATE SET"
        " since = CASE WHEN messages.revision > messages.delivered THEN messages.since ELSE :now END,"
        " due_at = CASE WHEN messages.revision > messages.delivered THEN messages.due_at ELSE :now END,"
        " revision = messages.revision + 1",
        {"incident": incident_id, "notifier": notifier, "now": now.timestamp()},
    )


def keep_evidence(c: Connection, step: Step, found: Evidence, now: datetime) -> None:
    """Keep what a step has collected, and have it attached to the card where there is one."""
    if evidence.keep(c, step, found, now):
        for notifier in card_notifiers(c, step.incident_id):
            touch_files(c, step.incident_id, notifier, now)


def add_call(c: Connection, incident_id: int, notifier: str, ring: Ring, now: datetime) -> None:
    """Ring beside the card. A call that still waits takes this one in: it is rendered when it is sent.

    One that is being sent at this moment is sent once more, because it may say less than this one.
    """
    waits = c.execute(
        "UPDATE messages SET revision = revision + 1, ping = max(ping, ?)"
        " WHERE incident_id = ? AND kind = 'call' AND revision > delivered",
        (int(ring), incident_id),
    )
    if waits.rowcount == 0:
        c.execute(
            "INSERT INTO messages (incident_id, kind, notifier, ping, revision, due_at, since) VALUES (?, 'call', ?, ?, 1, ?, ?)",
            (incident_id, notifier, int(ring), now.timestamp(), now.timestamp()),
        )


def add_note(
    c: Connection,
    note: Note,
    notifier: str,
    now: datetime,
    *,
    incident_id: int | None = None,
    ring: Ring = Ring.SILENT,
    topic: str = "",
) -> int:
    """A message of its own. What still waits of the same ``topic`` is not told any more. Returns its id."""
    if topic:
        for waiting in c.execute(
            "SELECT id FROM messages WHERE kind = 'note' AND topic = ? AND coalesce(incident_id, 0) = coalesce(?, 0) AND revision > delivered",
            (topic, incident_id),
        ).fetchall():
            overtaken(c, waiting["id"], incident_id, "a newer one has taken its place", now)
    made = c.execute(
        "INSERT INTO messages (incident_id, kind, notifier, ping, revision, due_at, since, note, topic)"
        " VALUES (?, 'note', ?, ?, 1, ?, ?, ?, ?) RETURNING id",
        (
            incident_id,
            notifier,
            int(ring),
            now.timestamp(),
            now.timestamp(),
            note.model_dump_json(),
            topic,
        ),
    )
    return int(made.fetchone()["id"])


def discard_message(c: Connection, message_id: int) -> None:
    """Waiting or given up -> let be, as if it had been told."""
    c.execute("UPDATE messages SET delivered = revision, error = '' WHERE id = ?", (message_id,))


def overtaken(
    c: Connection, message_id: int, incident_id: int | None, reason: str, now: datetime
) -> None:
    """Events have made this message untrue or superfluous: it is not sent, and the audit trail says why."""
    discard_message(c, message_id)
    add_event(c, incident_id, "not told any more", reason, now)


def message_due(c: Connection) -> Message | None:
    """The message that has waited longest for its turn, due or not yet.

    What belongs beside a card waits until that card has been posted, or given up.
    """
    row = c.execute(
        "SELECT * FROM messages AS one WHERE revision > delivered AND NOT (kind IN ('call', 'files') AND EXISTS"
        " (SELECT 1 FROM messages AS card WHERE card.kind = 'card' AND card.incident_id = one.incident_id"
        " AND card.message_id IS NULL AND card.revision > card.delivered))"
        " ORDER BY due_at LIMIT 1"
    ).fetchone()
    return rows.to_message(row) if row else None


def message(c: Connection, message_id: int) -> Message | None:
    row = c.execute("SELECT * FROM messages WHERE id = ?", (message_id,)).fetchone()
    return rows.to_message(row) if row else None


def hasten(c: Connection, now: datetime) -> None:
    """Whatever waits for another try is due now."""
    c.execute(
        "UPDATE messages SET due_at = :now WHERE revision > delivered AND error <> '' AND due_at > :now",
        {"now": now.timestamp()},
    )


def attempt_message(c: Connection, message: Message) -> int:
    """Record an attempt before it goes out.

    An earlier attempt at a first post without an outcome was cut off, and may have been made: returns
    how many such copies there may be.
    """
    row = c.execute(
        "UPDATE messages SET attempts = attempts + 1, error = '',"
        " copies = copies + CASE WHEN message_id IS NULL AND attempts > 0 AND error = '' THEN 1 ELSE 0 END"
        " WHERE id = ? RETURNING copies",
        (message.id,),
    ).fetchone()
    return int(row["copies"])


def delivered(
    c: Connection, message: Message, message_id: str, now: datetime, ring: Ring = Ring.SILENT
) -> None:
    """It is told. ``ring``: how loudly, where this was its first post.

    A card that became louder while it was being posted gets a call beside it.
    """
    row = c.execute(
        "UPDATE messages SET delivered = :revision, message_id = :message_id, attempts = 0, error = '', sent_at = :now,"
        " posted_ring = CASE WHEN posted_at IS NULL THEN :ring ELSE posted_ring END,"
        " posted_at = coalesce(posted_at, :now) WHERE id = :id RETURNING ping",
        {
            "revision": message.revision,
            "message_id": message_id,
            "now": now.timestamp(),
            "ring": int(ring),
            "id": message.id,
        },
    ).fetchone()
    if message.kind != "card" or message.incident_id is None:
        return
    if message.message_id is None and row["ping"] > message.ring:
        add_call(c, message.incident_id, message.notifier, Ring(row["ping"]), now)
    if message.message_id not in (None, message_id) and (
        evidence.of_incident(c, message.incident_id) or pictures.body(c, message.incident_id)
    ):  # the message that had the files is not the card any more
        touch_files(c, message.incident_id, message.notifier, now)


def not_delivered(
    c: Connection, message: Message, error: str, again_at: datetime | None, *, ambiguous: bool
) -> None:
    """Try again at a time; None: this revision is given up, the next news tries again.

    ``ambiguous``: it may have been made all the same.
    """
    if ambiguous:
        c.execute(
            "UPDATE messages SET copies = copies + 1 WHERE id = ? AND message_id IS NULL",
            (message.id,),
        )
    if again_at is None:
        c.execute(
            "UPDATE messages SET delivered = ?, error = ? WHERE id = ?",
            (message.revision, error, message.id),
        )
    else:
        c.execute(
            "UPDATE messages SET due_at = ?, error = ? WHERE id = ?",
            (again_at.timestamp(), error, message.id),
        )


def add_event(
    c: Connection, incident_id: int | None, kind: str, words: str, now: datetime, *, who: str = ""
) -> None:
    """``who``: the person who did it; empty: Sermon Monitor itself."""
    c.execute(
        "INSERT INTO events (incident_id, at, kind, words, who) VALUES (?, ?, ?, ?, ?)",
        (incident_id, now.timestamp(), kind, words, who),
    )


def add_events(c: Connection, events: Iterable[tuple[int | None, str, str]], now: datetime) -> None:
    """(incident, kind, words) of each, in order."""
    at = now.timestamp()
    found = [(incident_id, at, kind, words) for incident_id, kind, words in events]
    bulk.insert(c, "events", ("incident_id", "at", "kind", "words"), found)


def events(c: Connection, incident_id: int) -> list[Event]:
    query = "SELECT * FROM events WHERE incident_id = ? ORDER BY id"
    return [rows.to_event(row) for row in c.execute(query, (incident_id,))]


def beat(c: Connection, name: str, now: datetime) -> None:
    c.execute(
        "INSERT INTO heartbeats (name, last_at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last_at = excluded.last_at",
        (name, now.timestamp()),
    )


def prove_writable(c: Connection, now: datetime) -> None:
    """Write one page, so that a store that cannot be written says so."""
    c.execute(
        "INSERT INTO readiness (one, at) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
        (now.timestamp(),),
    )
