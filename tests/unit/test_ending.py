"""Whether an incident is over, or only its emergency is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver.deciding.ending import Sight, judge_end
from receiver.deciding.gates import Confirmation
from receiver.records import AlertInstance, Incident, Step
from receiver.store.history import History

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
WELL, SICK = Confirmation(False, "HTTP 200"), Confirmation(True, "HTTP 500")
UNKNOWN, UNASKABLE = Confirmation(None, "no answer"), Confirmation(None, "not set", unaskable=True)


def alert(name: str, *, firing: bool) -> AlertInstance:
    ended = None if firing else NOW
    return AlertInstance(1, 1, name, name, "critical", {}, {}, NOW, NOW, NOW, ended, 0)


def step(action: str, state: Any, at: datetime = NOW, **detail: Any) -> Step:
    started = None if state == "pending" else at
    return Step(1, 1, action, "app", "A", state, "", at, "restarted it", started, at, detail)


def history(alerts: list[AlertInstance], *steps: Step, ladder_at: datetime = NOW) -> History:
    incident = Incident(1, "s", "open", "critical", NOW, ladder_at, None, 0, "stale", 0, NOW)
    return History(incident, alerts, steps, (), (), (), None)


@pytest.mark.parametrize(
    ("seen", "kind"), [(WELL, "resolve"), (UNASKABLE, "resolve"), (SICK, "wait"), (UNKNOWN, "wait")]
)
def test_the_last_alert_is_over(seen: Confirmation, kind: str) -> None:
    assert judge_end(history([alert("A", firing=False)]), (), seen).kind == kind


@pytest.mark.parametrize(
    ("seen", "sight", "kind", "words"),
    [
        (WELL, Sight(), "resolve", "HTTP 200"),
        (WELL, Sight("no Watchdog"), "resolve", "HTTP 200"),
        (SICK, Sight("no Watchdog"), "wait", "monitoring is blind; the alerts are over, but"),
        (UNKNOWN, Sight("no Watchdog"), "wait", "monitoring is blind; the alerts are over, but"),
        (WELL, Sight("no Watchdog", ("A",)), "wait", "blind: no Watchdog; whether A is over"),
        (UNASKABLE, Sight("no Watchdog", ("A",)), "wait", "blind: no Watchdog; whether A is over"),
        (WELL, Sight("", ("A",)), "wait", ""),
        (SICK, Sight("", ("A",)), "wait", "our own look does not agree"),
    ],
)
def test_an_end_that_only_alertmanager_says_is_none_while_monitoring_is_blind(
    seen: Confirmation, sight: Sight, kind: str, words: str
) -> None:
    ending = judge_end(history([alert("A", firing=False)]), (), seen, sight)
    assert (ending.kind, words in ending.words) == (kind, True)
    assert bool(ending.words) is bool(words)
    lingering = [alert("A", firing=False), alert("B", firing=True)]
    calm = judge_end(history(lingering), (), seen, sight)
    assert calm.kind == ("calm" if kind == "resolve" else kind)
    assert judge_end(history(lingering), lingering[1:], seen, sight).kind == "on"


def test_a_lingering_warning_keeps_the_incident_but_not_the_ladder() -> None:
    lingering = [alert("HighMemoryUsage", firing=True), alert("ServiceDown", firing=False)]
    ending = judge_end(history(lingering, step("person", "pending")), (), WELL)
    assert ending.kind == "calm"
    assert ending.words.endswith("HighMemoryUsage still fires")
    assert judge_end(history(lingering), (), SICK).kind == "wait"


def test_while_one_asks_the_ladder_goes_on() -> None:
    firing = [alert("ServiceDown", firing=True)]
    assert judge_end(history(firing), firing, WELL).kind == "on"


def test_nothing_ends_while_a_step_runs() -> None:
    ended = [alert("ServiceDown", firing=False)]
    assert judge_end(history(ended, step("rollback", "running")), (), WELL).kind == "wait"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([], "without a step of ours"),
        ([step("restart", "done")], "A restart cured it (restarted it)"),
        ([step("rollback", "failed")], "after a rollback of ours had failed"),
        ([step("rollback", "done", target={"title": "v1"})], "v1 runs again"),
        ([step("restart", "done", NOW - timedelta(hours=1))], "without a step of ours"),
        ([step("person", "done")], "without a step of ours"),
    ],
)
def test_how_it_ended_is_told_from_what_this_ladder_did(steps: list[Step], words: str) -> None:
    ending = judge_end(history([alert("A", firing=False)], *steps), (), WELL)
    assert words in ending.words
    assert "HTTP 200" in ending.words


def test_what_comes_back_as_a_mere_warning_was_not_cured_by_an_old_step() -> None:
    old = step("rollback", "done", target={"title": "v1"})
    back = history([alert("HighMemoryUsage", firing=False)], old)
    back = replace(back, incident=replace(back.incident, ladder_at=None, reopened=1))
    assert "without a step of ours" in judge_end(back, (), WELL).words


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ((), "A restart cured it"),
        ((("person", "done"),), "what cured it is not known here"),
        ((("rollback", "refused"),), "what cured it is not known here"),
        ((("rollback", "dropped"), ("person", "dropped")), "A restart cured it"),
    ],
)
def test_a_restart_is_praised_only_where_nothing_found_it_broken_afterwards(
    later: tuple[tuple[str, Any], ...], words: str
) -> None:
    after = NOW + timedelta(minutes=2)
    steps = [step("restart", "done"), *(step(action, state, after) for action, state in later)]
    ending = judge_end(history([alert("A", firing=False)], *steps), (), WELL)
    assert words in ending.words
