"""How a step may move, on a real SQLite file: what the schema says and the file itself holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

import pytest

from receiver.deciding.policy import PlannedStep
from receiver.store import incidents, steps
from receiver.store.database import Database

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "s.sqlite3")
    database.open()
    yield database
    database.close()


def opened(c: Connection) -> int:
    return incidents.open_incident(c, "a", "critical", NOW)


def planned(action: str) -> PlannedStep:
    return PlannedStep(action=action, target="app", due_at=NOW)


async def test_a_step_moves_only_as_the_schema_says(database: Database) -> None:
    def story(c: Connection) -> None:
        incident = opened(c)
        steps.add_step(c, incident, planned("restart"), "A")
        steps.add_step(c, incident, planned("restart"), "B")
        (step,) = steps.steps(c, incident)
        assert steps.due(c, NOW) == [incident]
        assert steps.next_due(c) == NOW
        steps.move_step(c, step.id, "x", "not running yet", NOW, {})
        assert steps.claim_step(c, step.id, "restarting", {"n": 1}, NOW)
        assert not steps.claim_step(c, step.id, "restarting", {}, NOW)
        steps.defer_step(c, step.id, "not pending any more", NOW + timedelta(hours=1))
        assert steps.drop_pending(c, incident, "over", NOW) == []
        assert not incidents.resolve_incident(c, incident, "it runs", NOW)
        steps.end_step(c, step.id, "done", "restarted", NOW)
        steps.end_step(c, step.id, "failed", "too late", NOW)
        (step,) = steps.steps(c, incident)
        assert (step.state, step.words, step.detail) == ("done", "restarted", {"n": 1})
        assert incidents.resolve_incident(c, incident, "well", NOW)
        assert not incidents.resolve_incident(c, incident, "again", NOW)

    await database.run(story)


async def test_one_rollback_an_incident_is_held_by_the_file_itself(database: Database) -> None:
    def story(c: Connection) -> None:
        incident = opened(c)
        steps.add_step(c, incident, planned("rollback"), "A")
        (step,) = steps.steps(c, incident)
        assert steps.claim_step(c, step.id, "dispatching", {}, NOW)
        steps.end_step(c, step.id, "failed", "no runner", NOW)
        steps.add_step(c, incident, planned("rollback"), "A")
        second = steps.steps(c, incident)[-1]
        assert second.id != step.id
        steps.claim_step(c, second.id, "dispatching", {}, NOW)

    with pytest.raises(sqlite3.IntegrityError, match=r"steps\.incident_id"):
        await database.run(story)
