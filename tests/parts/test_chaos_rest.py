"""When a scenario of ``make chaos`` is at rest: whoever ends the receiver before sees a card that is about to change."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection

import pytest

from receiver.deciding.decision import PlannedStep
from receiver.records import Step
from receiver.store import incidents, steps
from receiver.store.database import connect, migrate
from tests.chaos import truth

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
SEARCHING = "no run with sm-1 is to be found; nothing was sent again; still looking, until it has expired at 02:17:51 UTC"  # fmt: skip
BEHIND = "a rollback is under way (incident 1, searching)"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "s.sqlite3"


def _searching(c: Connection) -> int:
    """An incident whose rollback may still begin, somewhere."""
    incident = incidents.open_incident(c, "a", "critical", NOW)
    made = _planned(c, incident, "rollback")
    steps.claim_step(c, made.id, "searching", {}, NOW)
    steps.move_step(c, made.id, "searching", SEARCHING, NOW, {})
    return incident


def _planned(c: Connection, incident: int, action: str) -> Step:
    steps.add_step(c, incident, PlannedStep(action, "app", NOW), "ServiceDown")
    return next(one for one in steps.steps(c, incident) if one.action == action)


def _fires(c: Connection, incident: int) -> None:
    labels = {"alertname": "ServiceDown"}
    new = incidents.NewAlert(incident, "f1", "ServiceDown", "critical", labels, {}, NOW)
    incidents.add_alerts(c, [new], NOW)


@pytest.mark.parametrize("words", [BEHIND, truth.NOTHING_TO_STOP])
def test_what_waits_rests_only_while_something_asks_for_it(store: Path, words: str) -> None:
    with contextlib.closing(connect(store)) as c:
        migrate(c)
        incident = _searching(c)
        assert truth.unfinished(store) == []
        waiting = _planned(c, incident, "restart")
        steps.defer_step(c, waiting.id, words, NOW)
        assert truth.unfinished(store) == [f"step {waiting.id} (restart) is pending : {words}"]
        _fires(c, incident)
        assert truth.unfinished(store) == []


def test_any_other_step_that_is_not_over_is_at_work(store: Path) -> None:
    with contextlib.closing(connect(store)) as c:
        migrate(c)
        incident = _searching(c)
        _fires(c, incident)
        waiting = _planned(c, incident, "restart")
        steps.defer_step(c, waiting.id, "our own look disagrees", NOW)
        (left,) = truth.unfinished(store)
    assert f"step {waiting.id} (restart)" in left
