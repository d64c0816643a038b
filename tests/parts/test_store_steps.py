"""How a step may move, on a real SQLite file: what the schema says and the file itself holds."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from sqlite3 import Connection

import pytest

from receiver.deciding.decision import PlannedStep
from receiver.store import incidents, steps, windows
from receiver.store.database import MIGRATIONS, Database, connect, migrate
from tests.parts.stores import Stores

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


@pytest.fixture
def database(stores: Stores) -> Database:
    return stores.database()


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

    with pytest.raises(
        sqlite3.IntegrityError, match=r"steps\.incident_id|one_rollback_an_incident"
    ):
        await database.run(story)


STATES = ("pending", "running", "done", "failed", "refused", "dropped")
ALLOWED = {
    ("pending", "running"),
    ("pending", "refused"),
    ("pending", "dropped"),
    ("running", "done"),
    ("running", "failed"),
}


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
async def test_the_file_allows_no_other_way(database: Database, before: str, after: str) -> None:
    def move(c: Connection, state: str) -> None:
        c.execute("UPDATE steps SET state = ?", (state,))

    def story(c: Connection) -> None:
        steps.add_step(c, opened(c), planned("restart"), "A")
        way = ["running", before] if before in ("done", "failed") else [before]
        for state in way:
            move(c, state)

    await database.run(story)
    if before == after or (before, after) in ALLOWED:
        await database.run(lambda c: move(c, after))
        return
    with pytest.raises(sqlite3.IntegrityError, match="a step cannot move that way"):
        await database.run(lambda c: move(c, after))


def test_a_file_of_the_tenth_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its steps move on as they may, and the windows of its deployments are known again."""
    old = connect(tmp_path / "old.sqlite3")
    for number, name in enumerate(MIGRATIONS[:10], 1):
        script = resources.files("receiver.store").joinpath(name).read_text(encoding="utf-8")
        old.executescript(f"{script}; PRAGMA user_version = {number};")
    begin = NOW.timestamp()
    old.execute(
        "INSERT INTO windows (starts_at, ends_at, reason, origin, made_at)"
        " VALUES (?, ?, 'deployment of v2', 'deployment', ?)",
        (begin, begin + 600, begin),
    )
    steps.add_step(old, opened(old), planned("restart"), "A")

    migrate(old)

    known = windows.open_window(
        old, NOW, NOW + timedelta(minutes=10), "deployment of v2", "deployment", NOW
    )
    assert not known, "it opens once, also after the upgrade"
    (step,) = steps.steps(old, 1)
    assert steps.claim_step(old, step.id, "restarting", {}, NOW)
    with pytest.raises(sqlite3.IntegrityError, match="a step cannot move that way"):
        old.execute("UPDATE steps SET state = 'dropped'")
    old.close()
