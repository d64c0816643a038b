"""When a card is due, and what is known of its first post, on a real SQLite file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from sqlite3 import Connection

import pytest

from receiver.records import Message, Ring
from receiver.store import incidents, messages
from receiver.store.database import connect, migrate
from receiver.store.heard import Heard, heard
from receiver.telling.note import Note
from tests.parts.stores import Stores

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
SOON = timedelta(milliseconds=100)


@pytest.fixture
def c(stores: Stores) -> Connection:
    return stores.connection()


def card(c: Connection, now: datetime = NOW) -> Message:
    """There is news at ``now``; what is due then."""
    found = incidents.open_of(c, "a")
    incident_id = found.id if found else incidents.open_incident(c, "a", "critical", now)
    messages.touch_card(c, incident_id, "discord", Ring.SILENT, now)
    message = messages.message_due(c)
    assert message is not None
    return message


def test_a_new_card_is_due_at_once(c: Connection) -> None:
    assert card(c).due_at == NOW
    # More news before it went out does not put it off.
    assert card(c, NOW + SOON).due_at == NOW


def test_edits_keep_their_distance(c: Connection) -> None:
    messages.delivered(c, card(c), "1", NOW)
    first = card(c, NOW + SOON)
    assert first.due_at == NOW + messages.EDIT_EVERY
    assert card(c, NOW + 2 * SOON).due_at == first.due_at, "news that waits is not put off"
    late = NOW + timedelta(minutes=5)
    messages.delivered(c, first, "1", NOW + messages.EDIT_EVERY)
    assert messages.message_due(c) is not None, "what came while it was sent is still to be told"
    messages.delivered(c, card(c, late), "1", late)
    assert card(c, late + timedelta(minutes=5)).due_at == late + timedelta(minutes=5)


def test_a_first_post_that_was_cut_off_may_have_been_made(c: Connection) -> None:
    message = card(c)
    assert messages.attempt_message(c, message) == 0
    assert messages.attempt_message(c, message) == 1
    messages.delivered(c, message, "1", NOW)
    assert messages.attempt_message(c, card(c, NOW + SOON)) == 1, "it is remembered for later edits"


@pytest.mark.parametrize(("ambiguous", "copies"), [(False, 0), (True, 1)])
def test_a_first_post_that_failed(c: Connection, ambiguous: bool, copies: int) -> None:
    message = card(c)
    messages.attempt_message(c, message)
    messages.not_delivered(c, message, "no answer", NOW, ambiguous=ambiguous)
    assert messages.attempt_message(c, message) == copies


def test_an_edit_that_was_cut_off_is_simply_made_again(c: Connection) -> None:
    messages.delivered(c, card(c), "1", NOW)
    edit = card(c, NOW + SOON)
    assert [messages.attempt_message(c, edit) for _ in range(3)] == [0, 0, 0]
    messages.not_delivered(c, edit, "no answer", NOW, ambiguous=True)
    assert messages.attempt_message(c, edit) == 0


def test_a_call_that_waits_takes_the_next_one_in(c: Connection) -> None:
    first = card(c)
    incident_id = first.incident_id or 0
    messages.add_call(c, incident_id, "discord", Ring.NOTIFY, NOW)
    waiting = messages.message_due(c)
    assert waiting is not None
    assert waiting.kind == "card", "a call never goes out before the card it stands beside"
    messages.delivered(c, first, "1", NOW, Ring.MENTION)
    messages.add_call(c, incident_id, "discord", Ring.MENTION, NOW + SOON)
    call = messages.message_due(c)
    assert call is not None
    assert (call.kind, call.ring, call.revision) == ("call", Ring.MENTION, 2)
    messages.add_call(c, incident_id, "discord", Ring.MENTION, NOW + SOON)
    messages.delivered(c, call, "2", NOW + SOON)
    again = messages.message_due(c)
    assert again is not None, "what came while one was being sent is heard too"
    messages.delivered(c, again, "3", NOW + SOON)
    assert messages.message_due(c) is None
    assert heard(c, incident_id) == Heard(NOW, Ring.MENTION, NOW + SOON, card_id="1")


def test_a_card_that_became_louder_while_it_was_posted_is_rung_for(c: Connection) -> None:
    quiet = card(c)
    messages.touch_card(c, quiet.incident_id or 0, "discord", Ring.MENTION, NOW + SOON)
    messages.delivered(c, quiet, "1", NOW + SOON)
    kinds = []
    while one := messages.message_due(c):
        kinds.append((one.kind, one.ring))
        messages.delivered(c, one, one.message_id or "2", NOW + SOON)
    assert sorted(kinds) == [("call", Ring.MENTION), ("card", Ring.MENTION)]


def test_of_notes_of_one_topic_the_newest_is_told(c: Connection) -> None:
    for title in ("old", "new"):
        messages.add_note(c, Note(title=title), "discord", NOW, topic="digest")
    messages.add_note(c, Note(title="alone"), "discord", NOW)
    told = []
    while one := messages.message_due(c):
        told.append(Note.model_validate_json(one.note).title)
        messages.delivered(c, one, "2", NOW)
    assert told == ["new", "alone"]
    (event,) = c.execute("SELECT kind, words FROM events").fetchall()
    assert tuple(event) == ("not told any more", "a newer one has taken its place")


def test_a_file_of_the_first_release_is_brought_up_to_date(tmp_path: Path) -> None:
    old = connect(tmp_path / "old.sqlite3")
    script = resources.files("receiver.store").joinpath("schema.sql").read_text(encoding="utf-8")
    old.executescript(f"{script}; PRAGMA user_version = 1;")
    incident_id = old.execute(
        "INSERT INTO incidents (service, state, severity, opened_at) VALUES ('a', 'open', 'critical', ?)",
        (NOW.timestamp(),),
    ).lastrowid
    old.execute(
        "INSERT INTO messages (incident_id, kind, notifier, ping, message_id, revision, delivered, due_at, since)"
        " VALUES (?, 'card', 'discord', 1, '1001', 3, 2, ?, ?)",
        (incident_id, NOW.timestamp(), NOW.timestamp()),
    )
    migrate(old)
    message = card(old, NOW + SOON)
    assert (message.message_id, message.revision, message.copies) == ("1001", 4, 0)
    assert message.ring is Ring.MENTION
    old.close()
