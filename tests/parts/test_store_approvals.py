"""How an approval may move, on a real SQLite file: what the schema says and the file itself holds."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from sqlite3 import Connection
from threading import Barrier, Thread

import pytest

from receiver.approving.approvals import HOLDS, Choice, ask, decide, expire
from receiver.deciding.decision import PlannedStep
from receiver.records import Approval, Ask, Step
from receiver.store import approvals, incidents, messages, steps
from tests.parts.stores import Stores

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
TTL = timedelta(hours=12)
V1 = Ask("rollback", "sha256:1", "v1", "a minute away", "HighResponseTime fires")
V0 = Ask("rollback", "sha256:0", "v0", "a minute away", "HighResponseTime fires")
CHOICES: tuple[Choice, ...] = ("granted", "denied")
STATES = ("asked", "granted", "denied", "expired", "overtaken", "used")
ALLOWED = {
    *(("asked", to) for to in ("granted", "denied", "expired", "overtaken")),
    *(("granted", to) for to in ("used", "expired", "overtaken")),
}


@pytest.fixture
def c(stores: Stores) -> Connection:
    return stores.connection()


def planned(c: Connection, *, asks: bool = True) -> Step:
    incident = incidents.open_incident(c, "a", "warning", NOW)
    steps.add_step(c, incident, PlannedStep("rollback", "app", NOW, ask=asks), "HighResponseTime")
    return steps.steps(c, incident)[0]


def asked(c: Connection, what: Ask = V1) -> tuple[Step, Approval]:
    step = planned(c)
    one = ask(c, step, what, TTL, NOW)
    assert one is not None
    return step, one


def state(c: Connection, one: Approval) -> str:
    found = approvals.approval(c, one.id)
    assert found is not None
    return found.state


def kinds(c: Connection, incident_id: int) -> list[tuple[str, str]]:
    return [(event.kind, event.who) for event in messages.events(c, incident_id)]


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_the_file_allows_no_other_way(c: Connection, before: str, after: str) -> None:
    _, one = asked(c)
    way = {"used": ["granted"]}.get(before, [])
    for there in [*way, before] if before != "asked" else []:
        move(c, one, there)
    assert state(c, one) == before
    if (before, after) in ALLOWED:
        move(c, one, after)
        assert state(c, one) == after
    else:
        with pytest.raises(sqlite3.IntegrityError, match="cannot move that way"):
            move(c, one, after)
        assert state(c, one) == before


def move(c: Connection, one: Approval, after: str) -> None:
    c.execute(
        "UPDATE approvals SET who = 'x', holds_until = 1, used_at = CASE :after WHEN 'used' THEN 1 END, state = :after WHERE id = :id",
        {"after": after, "id": one.id},
    )


def test_a_yes_is_good_for_one_beginning_of_exactly_that(c: Connection) -> None:
    step, one = asked(c)
    assert not approvals.use(c, step.id, V1.subject, NOW)
    steps.defer_step(c, step.id, "waits", NOW + timedelta(hours=1))
    said = decide(c, one.id, "granted", "anna (terminal)", NOW)
    assert said.done
    assert steps.due(c, NOW) == [step.incident_id], "its step is looked at now"
    assert not approvals.use(c, step.id, V0.subject, NOW)
    assert approvals.use(c, step.id, V1.subject, NOW)
    assert not approvals.use(c, step.id, V1.subject, NOW)
    assert state(c, one) == "used"
    assert kinds(c, step.incident_id) == [
        ("approval asked", ""),
        ("approval granted", "anna (terminal)"),
    ]


def test_the_first_decision_counts(c: Connection) -> None:
    step, one = asked(c)
    assert decide(c, one.id, "denied", "the link", NOW).done
    for choice in CHOICES:
        again = decide(c, one.id, choice, "bea", NOW)
        assert (again.done, again.words) == (
            False,
            f"approval {one.id} was denied already, by the link",
        )
    assert not approvals.use(c, step.id, V1.subject, NOW)


def test_of_many_who_decide_at_once_one_is_first(stores: Stores, c: Connection) -> None:
    _, one = asked(c)
    together, done = Barrier(8), []

    def press(number: int) -> None:
        own = stores.connection()
        together.wait()
        own.execute("BEGIN IMMEDIATE")
        done.append(decide(own, one.id, CHOICES[number % 2], f"person {number}", NOW).done)
        own.execute("COMMIT")

    threads = [Thread(target=press, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [False] * 7 + [True]
    assert len([k for k, _ in kinds(c, one.incident_id) if k != "approval asked"]) == 1


def test_what_nobody_decides_expires_and_its_step_is_due(c: Connection) -> None:
    step, one = asked(c)
    steps.defer_step(c, step.id, "waits", NOW + timedelta(days=2))
    late = one.expires_at
    expire(c, late - timedelta(seconds=1))
    assert state(c, one) == "asked"
    assert approvals.next_end(c) == late
    assert not decide(c, one.id, "granted", "anna", late).done
    expire(c, late)
    assert state(c, one) == "expired"
    assert approvals.next_end(c) is None
    assert steps.next_due(c) == late
    assert "has expired" in decide(c, one.id, "granted", "anna", late).words


def test_a_yes_does_not_hold_for_ever(c: Connection) -> None:
    step, one = asked(c)
    decide(c, one.id, "granted", "anna", NOW)
    assert not approvals.use(c, step.id, V1.subject, NOW + HOLDS)
    expire(c, NOW + HOLDS)
    assert state(c, one) == "expired"
    assert "was not used" in messages.events(c, step.incident_id)[-1].words


def test_one_question_a_step(c: Connection) -> None:
    step, one = asked(c)
    assert ask(c, step, V1, TTL, NOW) is None
    with pytest.raises(sqlite3.IntegrityError):
        c.execute(
            "INSERT INTO approvals (incident_id, step_id, action, subject, target, blast, why, asked_at, expires_at)"
            " SELECT incident_id, step_id, action, subject, target, blast, why, 1, 2 FROM approvals"
        )
    other = ask(c, step, V0, TTL, NOW)
    assert other is not None
    assert (state(c, one), state(c, other)) == ("overtaken", "asked")
    assert "what was asked for has changed" in decide(c, one.id, "granted", "anna", NOW).words
    decide(c, other.id, "denied", "anna", NOW)
    assert ask(c, step, V1, TTL, NOW) is not None, "asking is the caller's decision"


@pytest.mark.parametrize("how", ["ended", "dropped", "comes by itself"])
@pytest.mark.parametrize("granted", [False, True])
def test_a_step_leaves_no_question_behind(c: Connection, how: str, granted: bool) -> None:
    step, one = asked(c)
    if granted:
        decide(c, one.id, "granted", "anna", NOW)
    if how == "ended":
        steps.end_step(c, step.id, "refused", "COOLDOWN", NOW)
    elif how == "dropped":
        steps.drop_pending(c, step.incident_id, "the alerts are over", NOW)
    else:
        later = PlannedStep("rollback", "app", NOW + timedelta(minutes=2))
        steps.add_step(c, step.incident_id, later, "ServiceDown")
        (step,) = steps.steps(c, step.incident_id)
        assert (step.asks, step.alert, step.due_at) == (False, "ServiceDown", later.due_at)
    assert state(c, one) == "overtaken"
    assert not decide(c, one.id, "granted", "anna", NOW).done
    assert not approvals.use(c, step.id, V1.subject, NOW)


def test_what_comes_by_itself_does_not_give_way(c: Connection) -> None:
    step = planned(c, asks=False)
    steps.add_step(
        c, step.incident_id, PlannedStep("rollback", "app", NOW, ask=True), "HighResponseTime"
    )
    assert steps.steps(c, step.incident_id) == [step]


@pytest.mark.parametrize(
    ("choice", "alert", "again"),
    [
        ("denied", "HighResponseTime", False),
        ("denied", "HighErrorRate", True),
        ("", "HighResponseTime", True),
    ],
)
def test_no_is_not_asked_again_for_the_same_alert(
    c: Connection, choice: str, alert: str, again: bool
) -> None:
    step, one = asked(c)
    if choice:
        decide(c, one.id, "denied", "anna", NOW)
    steps.end_step(c, step.id, "refused", "no", NOW)
    taken = incidents.taken(c, step.incident_id, None, alert)
    assert (("rollback", "app") not in taken) is again


def test_a_number_is_never_given_twice(c: Connection) -> None:
    _, one = asked(c)
    c.execute("DELETE FROM approvals")
    incidents.resolve_incident(c, one.incident_id, "over", NOW)
    _, other = asked(c)
    assert other.id > one.id
