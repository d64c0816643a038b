"""When the clock is set, what waits moves with it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from receiver.app import App
from receiver.approving.approvals import ask, decide
from receiver.clock import SteadyClock
from receiver.deciding.decision import PlannedStep
from receiver.hearing.ear import Ear
from receiver.hearing.intake import Intake
from receiver.maintenance.windows import open_around_deployment
from receiver.metrics import Metrics
from receiver.ready import Readiness
from receiver.records import Approval, Ask, Ring, Step
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.store import approvals, incidents, messages, steps, windows
from receiver.store.database import Database
from receiver.timers import REMEMBERED, TOLERANCE, Timers
from target.engine import Engine
from tests.parts.stores import Stores

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Machine:
    """A clock that can be set, and one that cannot."""

    def __init__(self) -> None:
        self.wall = NOW
        self.ticks = 0.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def pass_by(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.ticks += seconds


@pytest.fixture
def database(stores: Stores) -> Database:
    return stores.database()


@pytest.fixture
def machine() -> Machine:
    return Machine()


def steady(machine: Machine) -> SteadyClock:
    return SteadyClock(machine, machine.monotonic)


async def fill(database: Database) -> None:
    """A step that waits, one that runs, a card, and the check of an end."""

    def change(c: Any) -> None:
        number = incidents.open_incident(c, "sermon-uploader", "critical", NOW)
        for action, after in (("rollback", 0), ("person", 600)):
            due = NOW + timedelta(seconds=after)
            steps.add_step(c, number, PlannedStep(action, "", due), "ServiceDown")
        detail = {
            "search_until": "2026-03-01T02:01:30.000Z",
            "expires_at": "2026-03-01T02:10:00.000Z",
            "before": {"id": "2026-03-01T02:00:00Z"},
            "run_at": "no time",
            "run_id": 7,
        }
        assert steps.claim_step(c, 1, "searching", detail, NOW)
        messages.touch_card(c, number, "discord", Ring.MENTION, NOW)
        incidents.set_check(c, number, NOW + timedelta(seconds=15))
        messages.add_event(c, number, "open", "it begins", NOW)

    await database.run(change)


async def waits(database: Database) -> tuple[Step, Step, Any, datetime | None]:
    def look(c: Any) -> tuple[Step, Step, Any, datetime | None]:
        running, waiting = steps.steps(c, 1)
        found = incidents.incident(c, 1)
        assert found is not None
        return running, waiting, messages.message_due(c), found.check_at

    return await database.run(look)


async def kinds(database: Database) -> list[tuple[str, str]]:
    query = "SELECT kind, words FROM events ORDER BY id"
    return await database.run(lambda c: [tuple(row) for row in c.execute(query)])


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 3 * TOLERANCE])
async def test_what_waits_moves_with_the_clock(
    database: Database, machine: Machine, jump: timedelta
) -> None:
    await fill(database)
    clock = steady(machine)
    keeper = Timers(database, clock)
    assert not await keeper.keep()
    machine.pass_by(5)
    machine.wall += jump
    assert clock.now() == NOW + timedelta(seconds=5), "nobody sees the jump before it is dealt with"

    assert await keeper.keep()
    assert clock.now() == machine.wall
    running, waiting, card, check = await waits(database)
    assert waiting.due_at == NOW + timedelta(minutes=10) + jump
    assert waiting.started_at is None
    assert (running.due_at, running.started_at) == (NOW + jump, NOW + jump)
    assert (card.due_at, check) == (NOW + jump, NOW + timedelta(seconds=15) + jump)
    moved = (NOW + timedelta(seconds=90) + jump).isoformat(timespec="milliseconds")
    assert running.detail["search_until"] == moved.replace("+00:00", "Z")
    assert running.detail["before"] == {"id": "2026-03-01T02:00:00Z"}
    assert (running.detail["run_at"], running.detail["run_id"]) == ("no time", 7)
    assert [kind for kind, _ in await kinds(database)] == ["open", "clock set"]
    assert not await keeper.keep()


async def test_a_clock_that_is_slewed_is_followed_without_a_word(
    database: Database, machine: Machine
) -> None:
    await fill(database)
    clock = steady(machine)
    keeper = Timers(database, clock)
    for _ in range(10):
        machine.pass_by(5)
        machine.wall += TOLERANCE / 2
        assert not await keeper.keep()
        assert clock.now() == machine.wall
    assert (await waits(database))[1].due_at == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(("away", "moves"), [(-HOUR, True), (HOUR, False), (-TOLERANCE / 2, False)])
async def test_a_clock_set_back_while_we_did_not_run(
    database: Database, machine: Machine, away: timedelta, moves: bool
) -> None:
    """One that is ahead tells nothing: the machine may have been off for so long."""
    await fill(database)
    machine.wall += away
    keeper = Timers(database, steady(machine))
    assert await keeper.keep() is moves
    due = (await waits(database))[1].due_at
    assert due == NOW + timedelta(minutes=10) + (away if moves else timedelta(0))
    assert not await keeper.keep()


async def test_an_empty_store_has_nothing_to_move(database: Database, machine: Machine) -> None:
    machine.wall -= HOUR
    assert not await Timers(database, steady(machine)).keep()
    assert await kinds(database) == []


@pytest.mark.parametrize(("ago", "moves"), [(timedelta(minutes=5), True), (2 * REMEMBERED, False)])
async def test_an_incident_that_ended_lately_keeps_its_budget(
    database: Database, machine: Machine, ago: timedelta, moves: bool
) -> None:
    """Neither a cool-down nor the time in which an incident comes back is over because the clock was set."""
    await fill(database)

    def end(c: Any) -> None:
        steps.end_step(c, 1, "done", "rolled back", NOW)
        steps.drop_pending(c, 1, "over", NOW)
        assert incidents.resolve_incident(c, 1, "well", NOW)

    await database.run(end)
    machine.wall += ago
    clock = steady(machine)
    keeper = Timers(database, clock)
    assert not await keeper.keep()
    machine.wall += HOUR
    assert await keeper.keep()
    moved = HOUR if moves else timedelta(0)
    step = await database.run(lambda c: steps.step(c, 1))
    incident = await database.run(lambda c: incidents.incident(c, 1))
    assert step is not None
    assert incident is not None
    assert (step.started_at, step.ended_at) == (NOW + moved, NOW + moved)
    assert (incident.opened_at, incident.resolved_at) == (NOW + moved, NOW + moved)
    card = await database.run(messages.message_due)
    assert card is not None
    assert card.revision == (2 if moves else 1), "a card shows times: it is told anew"


async def test_what_joins_after_the_jump_counts_from_the_same_zero(
    database: Database, machine: Machine
) -> None:
    await fill(database)
    await database.run(lambda c: incidents.set_ladder(c, 1, NOW))
    clock = steady(machine)
    keeper = Timers(database, clock)
    assert not await keeper.keep()
    machine.wall -= HOUR
    assert await keeper.keep()
    incident = await database.run(lambda c: incidents.incident(c, 1))
    assert incident is not None
    assert incident.ladder_at == incident.opened_at == NOW - HOUR


async def test_a_second_jump_right_after_our_start_is_not_lost(
    database: Database, machine: Machine
) -> None:
    """Set back while we did not run, and once more before we looked."""
    await fill(database)
    machine.wall -= HOUR
    clock = steady(machine)
    keeper = Timers(database, clock)
    machine.wall -= HOUR
    assert await keeper.keep()
    assert clock.now() == machine.wall
    assert (await waits(database))[1].due_at == NOW + timedelta(minutes=10) - 2 * HOUR


@pytest.mark.parametrize("jump", [HOUR, -HOUR, timedelta(seconds=10.25)])
async def test_what_a_person_was_asked_keeps_its_time_to_be_decided(
    database: Database, machine: Machine, jump: timedelta
) -> None:
    """Its end stands in a link in whole seconds."""
    await fill(database)
    what = Ask("rollback", "sha256:1", "v1", "", "it is slow")

    def asked(c: Any) -> None:
        ask(c, steps.steps(c, 1)[1], what, HOUR, NOW)

    await database.run(asked)
    keeper = Timers(database, steady(machine))
    await keeper.keep()
    machine.wall += jump
    assert await keeper.keep()

    def decided(c: Any) -> tuple[Approval | None, bool]:
        one, soon = approvals.approval(c, 1), machine.wall + HOUR - timedelta(seconds=1)
        return one, decide(c, 1, "granted", "anna", soon).done

    one, done = await database.run(decided)
    assert one is not None
    assert abs(one.expires_at - (NOW + HOUR + jump)) <= timedelta(seconds=0.5)
    assert one.expires_at.microsecond == 0
    assert done


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_window_of_a_deployment_moves_and_one_of_people_stays(
    database: Database, machine: Machine, jump: timedelta
) -> None:
    await fill(database)
    grace, since = timedelta(minutes=3), NOW - timedelta(minutes=1)

    def opened(c: Any) -> None:
        assert open_around_deployment(c, "v2", since, grace, NOW)
        windows.open_window(c, NOW, NOW + 2 * HOUR, "updates", "person", NOW)

    await database.run(opened)
    keeper = Timers(database, steady(machine))
    await keeper.keep()
    machine.wall += jump
    assert await keeper.keep()

    def look(c: Any) -> dict[str, datetime]:
        assert not open_around_deployment(c, "v2", since, grace, machine.wall), "it is known"
        return {one.origin: one.ends_at for one in windows.windows(c)}

    assert await database.run(look) == {
        "deployment": since + grace + jump,
        "person": NOW + 2 * HOUR,
    }


async def test_a_webhook_that_waited_behind_the_move_is_of_the_new_time(
    tmp_path: Path, machine: Machine
) -> None:
    """It arrived before the clock was set back and is written after: its times are not an hour ahead."""
    settings = ReceiverSettings.model_validate({"STATE_DIR": str(tmp_path), "DRY_RUN": True})
    clock = steady(machine)
    receiver = Receiver(settings, Engine("unix:///nonexistent"), CollectorRegistry(), clock)
    store = Database(settings.database_path)
    store.open()
    intake = Intake(policy=receiver.policy, notifier="discord", flap_window=HOUR, minio_service=())
    ear = Ear(intake, store, Metrics(CollectorRegistry(), {}), clock, lambda _: None)
    made = App(settings, ear.hear, lambda _: None, Readiness(store, clock, str).words)
    keeper, free = Timers(store, clock), threading.Event()
    await keeper.keep()
    async with TestClient(TestServer(made.application())) as client:
        await client.post("/alerts", json=body("firing"))
        held = asyncio.create_task(store.run(lambda _: free.wait(60)))
        await asyncio.sleep(0)
        machine.wall -= HOUR
        moving = asyncio.create_task(keeper.keep())
        await asyncio.sleep(0)
        told = asyncio.create_task(client.post("/alerts", json=body("resolved")))
        while store.waiting < 2:  # noqa: ASYNC110 - a queue of threads
            await asyncio.sleep(0.01)
        free.set()
        await asyncio.gather(held, moving)
        assert (await told).status == 200
    checked = await store.run(lambda c: incidents.incident(c, 1))
    store.close()
    assert checked is not None
    assert checked.check_at == machine.wall


def body(status: str) -> dict[str, Any]:
    alert = {
        "status": status,
        "labels": {"alertname": "Odd", "severity": "critical"},
        "startsAt": "2026-03-01T02:00:00Z",
        "fingerprint": "f",
    }
    fixed = {"version": "4", "groupKey": "g", "status": status, "receiver": "r"}
    return {**fixed, "alerts": [alert]}
