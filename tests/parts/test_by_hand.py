"""What a person does to an incident: notes, what is tried again, what is given up, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from sqlite3 import Connection

import pytest

from receiver import by_hand
from receiver.by_hand import Reference, RefusedError, parse_reference, text_of
from receiver.records import Step
from receiver.store import by_hand as hand
from receiver.store import incidents, messages, steps
from receiver.store.database import connect
from receiver.store.history import read_history
from tests.parts.cli_kit import Command
from tests.parts.intake_kit import Story
from tests.parts.receiver_kit import alert, body, ended, policy_text, receiver
from tests.parts.stores import Stores
from tests.standins.discord import Discord

WHO = "anna (terminal)"


@pytest.fixture
def story(stores: Stores) -> Story:
    story = Story(stores.connection())
    story.fires("ServiceDown", cause="app")
    return story


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


def restart(story: Story) -> Step:
    return next(s for s in steps.steps(story.c, 1) if s.action == "restart")


def finish(story: Story, action: str, state: str, *, begun: bool = True) -> Step:
    found = next(s for s in steps.steps(story.c, 1) if s.action == action)
    if begun:
        steps.claim_step(story.c, found.id, "x", {}, story.clock.now())
    steps.end_step(story.c, found.id, state, "why", story.clock.now())
    return found


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("12", Reference("incident", 12)),
        ("s34", Reference("step", 34)),
        (" m7 ", Reference("message", 7)),
    ],
)
def test_what_an_id_means(text: str, reference: Reference) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize("text", ["", "x1", "s", "-1", "1.5", "s1m1", "1" * 19, "١"])
def test_what_no_id_is(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: 12"):
        parse_reference(text)


def test_a_text_is_one_printable_line() -> None:
    assert text_of(" the\x1b[2J disk\nis full ", "a text") == "the [2J disk is full"
    for wrong in ("", " \n\x07", "x" * 501):
        with pytest.raises(ValueError, match="a text"):
            text_of(wrong, "a text")


def test_a_note_stands_on_the_card_and_in_the_trail(story: Story) -> None:
    before = story.c.execute("SELECT revision FROM messages").fetchone()[0]
    by_hand.note(story.c, 1, "a disk is on order", WHO, story.clock.now())
    history = read_history(story.c, 1, story.clock.now())
    assert history is not None
    assert [(n.who, n.words) for n in history.notes] == [(WHO, "a disk is on order")]
    assert story.c.execute("SELECT revision FROM messages").fetchone()[0] == before + 1
    with pytest.raises(RefusedError, match="no incident 9"):
        by_hand.note(story.c, 9, "x", WHO, story.clock.now())


@pytest.mark.parametrize("state", ["failed", "refused"])
def test_a_step_is_planned_anew_and_the_old_one_stays_on_record(story: Story, state: str) -> None:
    old = finish(story, "restart", state, begun=state == "failed")
    now = story.clock.pass_by(minutes=3)
    (line,) = by_hand.retry(story.c, Reference("step", old.id), WHO, now)
    assert line.startswith("restart app is planned again, now; every gate is asked")
    found = [(s.state, s.due_at) for s in steps.steps(story.c, 1) if s.action == "restart"]
    assert found == [(state, old.due_at), ("pending", now)]
    with pytest.raises(RefusedError, match="waits or is under way already"):
        by_hand.retry(story.c, Reference("step", old.id), WHO, now)


def test_no_second_rollback(story: Story) -> None:
    """A rollback that was refused, and so never went out, may be asked for again; a failed one may not."""
    refused = finish(story, "rollback", "refused", begun=False)
    by_hand.retry(story.c, Reference("step", refused.id), WHO, story.clock.now())
    again = max(steps.steps(story.c, 1), key=lambda s: s.id)
    steps.claim_step(story.c, again.id, "x", {}, story.clock.now())
    steps.end_step(story.c, again.id, "failed", "", story.clock.now())
    for what in (Reference("step", again.id), Reference("step", refused.id)):
        with pytest.raises(RefusedError, match="has had its one rollback"):
            by_hand.retry(story.c, what, WHO, story.clock.now())
    with pytest.raises(RefusedError, match="has had its one rollback"):
        by_hand.retry(story.c, Reference("incident", 1), WHO, story.clock.now())


def test_what_may_not_be_tried_again(story: Story) -> None:
    done = finish(story, "restart", "done")
    person = next(s for s in steps.steps(story.c, 1) if s.action == "person")
    for what, words in (
        (Reference("step", done.id), "is done"),
        (Reference("step", person.id), "waits or is under way"),
        (Reference("step", 99), "no step s99"),
        (Reference("message", 99), "no message m99"),
        (Reference("incident", 99), "no incident 99"),
        (Reference("incident", 1), "nothing of incident 1 has failed"),
    ):
        with pytest.raises(RefusedError, match=words):
            by_hand.retry(story.c, what, WHO, story.clock.now())
    failed = finish(story, "rollback", "failed")
    by_hand.discard(story.c, Reference("incident", 1), "x", WHO, story.clock.now())
    with pytest.raises(RefusedError, match="incident 1 is over"):
        by_hand.retry(story.c, Reference("step", failed.id), WHO, story.clock.now())


def test_an_incident_tries_all_of_its_own_again(story: Story) -> None:
    finish(story, "restart", "failed")
    finish(story, "rollback", "failed")
    card = messages.message_due(story.c)
    assert card is not None
    messages.not_delivered(story.c, card, "401", None, ambiguous=False)
    lines = by_hand.retry(story.c, Reference("incident", 1), WHO, story.clock.now())
    assert [line.split(" is ")[0].split(": ")[0] for line in lines] == [
        "restart app",
        f"m{card.id} (card)",
        "not again",
    ]
    waits = messages.message_due(story.c)
    assert waits is not None
    assert waits.id == card.id


def test_a_message_is_sent_again_or_let_be(story: Story) -> None:
    card = messages.message_due(story.c)
    assert card is not None
    what = Reference("message", card.id)
    messages.not_delivered(story.c, card, "404", None, ambiguous=False)
    assert messages.message_due(story.c) is None, "it was given up"
    by_hand.retry(story.c, what, WHO, story.clock.now())
    assert messages.message_due(story.c) is not None
    by_hand.discard(story.c, what, "another channel", WHO, story.clock.now())
    assert messages.message_due(story.c) is None
    assert hand.troubled(story.c) == []
    for act in (
        lambda: by_hand.retry(story.c, what, WHO, story.clock.now()),
        lambda: by_hand.discard(story.c, what, "x", WHO, story.clock.now()),
    ):
        with pytest.raises(RefusedError, match="has been told"):
            act()
    story.fires("HighErrorRate")
    assert messages.message_due(story.c) is not None, "news tries again"


def test_a_waiting_step_is_dropped_and_a_running_one_is_not(story: Story) -> None:
    waiting = restart(story)
    line = by_hand.discard(
        story.c, Reference("step", waiting.id), "I do it", WHO, story.clock.now()
    )
    assert line == f"s{waiting.id} (restart) will not be done"
    dropped = steps.step(story.c, waiting.id)
    assert dropped is not None
    assert (dropped.state, dropped.words) == ("dropped", f"discarded by {WHO}: I do it")
    rollback = next(s for s in steps.steps(story.c, 1) if s.action == "rollback")
    steps.claim_step(story.c, rollback.id, "x", {}, story.clock.now())
    for what in (Reference("step", rollback.id), Reference("incident", 1)):
        with pytest.raises(RefusedError, match="followed to its end"):
            by_hand.discard(story.c, what, "x", WHO, story.clock.now())
    assert story.incident.state == "open"


def test_a_closed_incident_is_over_until_its_alert_is_told_of_again(story: Story) -> None:
    finish(story, "rollback", "done")
    line = by_hand.discard(story.c, Reference("incident", 1), "rule gone", WHO, story.clock.now())
    assert "ServiceDown fired by our record" in line
    closed = story.incident
    assert (closed.state, closed.verdict) == ("resolved", f"closed by hand by {WHO}: rule gone")
    assert {s.state for s in steps.steps(story.c, 1)} == {"dropped", "done"}
    assert not any(a.firing for a in story.alerts)
    with pytest.raises(RefusedError, match="over already"):
        by_hand.discard(story.c, Reference("incident", 1), "x", WHO, story.clock.now())
    story.clock.pass_by(minutes=5)
    assert story.fires("ServiceDown", cause="app") == "reopen"
    again = [s.action for s in steps.steps(story.c, 1) if s.state == "pending"]
    assert again == ["restart", "person"], "the one rollback stays spent"
    assert incidents.any_firing(story.c, 1)


def test_the_commands(tmp_path: Path) -> None:
    monitor = Command(tmp_path)
    for words in (("note", "1", "x"), ("retry", "1"), ("discard", "1", "--reason", "x")):
        answer = monitor(*words)
        assert (answer.code, "nothing has been recorded yet" in answer.err) == (1, True)
    assert not monitor.state.exists()
    monitor.store("A")
    assert monitor("note", "1", "on", "order\x1b[2J", "--by", "Ruth").out == "noted on incident 1\n"
    assert "note of Ruth (terminal): on order [2J" in monitor("incidents").out
    for wrong in (
        ("note", "0", "x"),
        ("note", "1", " "),
        ("note", "1"),
        ("retry", "seven"),
        ("discard", "1"),
        ("discard", "1", "--reason", " "),
    ):
        assert monitor(*wrong).code == 2, wrong
    refused = monitor("retry", "s9")
    assert (refused.code, refused.err) == (1, "sermon-monitor: there is no step s9\n")
    assert monitor("retry", "1").code == 1
    assert monitor("discard", "1", "--reason", "test").code == 0
    assert monitor("discard", "1", "--reason", "test").code == 1
    trail = monitor("audit").out
    for line in (
        "incident 1   note by Ruth (terminal)",
        "–            retry refused by",
        "incident 1   retry refused by",
        "incident 1   discard by",
        "incident 1   discard refused by",
    ):
        assert line in trail, trail


def test_a_foreign_file_is_not_written_to(tmp_path: Path) -> None:
    monitor = Command(tmp_path)
    monitor.state.mkdir()
    path = monitor.state / "receiver.sqlite3"
    other = connect(path)
    other.execute("CREATE TABLE other (x)")
    other.close()
    for words in (
        ("note", "1", "x"),
        ("maintenance", "start", "5m", "--reason", "x"),
        ("maintenance", "stop"),
    ):
        answer = monitor(*words)
        assert (answer.code, "not a store of sermon-monitor" in answer.err) == (1, True)
    tables = connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert [row["name"] for row in tables] == ["other"]


async def test_beside_a_running_receiver(tmp_path: Path, discord: Discord) -> None:
    rows = """
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: none,
     steps: [rollback @0s]}
"""

    def act(change: Callable[[Connection], object]) -> None:
        connection = connect(tmp_path / "state" / "receiver.sqlite3")
        connection.execute("BEGIN IMMEDIATE")
        change(connection)
        connection.execute("COMMIT")
        connection.close()

    off = {"AUTO_ROLLBACK_ENABLED": "false"}
    async with receiver(
        tmp_path, policy_text(rows), DISCORD_WEBHOOK_URL=discord.url, **off
    ) as running:
        await running.post(body(alert()))
        await running.until(ended("rollback", "refused"), "its refusal")
        now = running.receiver.clock.now()
        act(lambda c: by_hand.retry(c, Reference("incident", 1), WHO, now))
        await running.until(
            lambda i: (
                [s["state"] for s in i["steps"] if s["action"] == "rollback"] == ["refused"] * 2
            ),
            "its gates to refuse it again",
        )
        act(lambda c: by_hand.discard(c, Reference("incident", 1), "a drill", WHO, now))
        await running.until(lambda i: i["state"] == "resolved", "its end")
        await discord.wait_until(
            lambda d: any("a drill" in str(m.embeds) for m in d.messages if m.embeds)
        )
