"""A restart reaches the Engine at most once, wherever this process is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.actions import Progress
from receiver.actions.restart import SETTLE, Restart
from receiver.records import Step
from receiver.settings import ReceiverSettings
from target.engine import Engine, EngineError
from tests.chaos.deployment import APP, Clock, Deployment

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
NOBODY: Any = None


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Deployment]:
    (tmp_path / "state").mkdir()
    made = Deployment(tmp_path, Clock(tmp_path / "clock"))
    made.restart_seconds = lambda: 0.0
    async with made.serving():
        yield made


def restart(engine: Deployment) -> Restart:
    """As a new process has it."""
    settings = ReceiverSettings.model_validate({"APP_SERVICE": APP, "MINIO_SERVICE": "none"})
    return Restart(settings, Engine(engine.host))


async def claimed(action: Restart) -> Step:
    planned = Step(7, 1, "restart", "app", "ServiceDown", "pending", "", NOW, "", None, None)
    phase, detail = await action.prepare(planned, NOBODY, NOW)
    return after(planned, Progress("running", "", phase, NOW, detail))


def after(step: Step, progress: Progress) -> Step:
    assert progress.state == "running", progress
    return Step(
        step.id, 1, "restart", "app", "ServiceDown", "running", progress.phase, NOW, progress.words,
        NOW, None, progress.detail,
    )  # fmt: skip


async def test_once(engine: Deployment) -> None:
    action = restart(engine)
    done = await action.advance(await claimed(action), NOBODY, NOW)
    assert (done.state, done.words) == ("done", f"restarted {APP}")
    assert engine.restarts[APP] == 1


@pytest.mark.parametrize("clock", [timedelta(0), timedelta(days=1), timedelta(days=-1)])
async def test_one_that_the_engine_made_is_found_whatever_the_clocks_say(
    engine: Deployment, clock: timedelta
) -> None:
    first = restart(engine)
    step = await claimed(first)
    await first.advance(step, NOBODY, NOW)  # and its outcome was never recorded
    second = restart(engine)
    settling = await second.advance(step, NOBODY, NOW + clock)
    assert settling.phase == "settling"
    found = await second.advance(after(step, settling), NOBODY, NOW + clock)
    assert (found.state, engine.restarts[APP]) == ("done", 1)


async def test_one_that_the_engine_is_still_at_is_waited_for(engine: Deployment) -> None:
    first, second = restart(engine), restart(engine)
    step = await claimed(first)
    engine.restart_seconds = lambda: 0.5
    cut_off = asyncio.create_task(first.advance(step, NOBODY, NOW))
    while not engine.restarts[APP]:  # noqa: ASYNC110 - a thread's request arrives
        await asyncio.sleep(0.01)
    settling = after(step, await second.advance(step, NOBODY, NOW))
    waiting = await second.advance(settling, NOBODY, NOW)
    assert (waiting.state, waiting.phase) == ("running", "settling")
    await cut_off
    assert (await second.advance(settling, NOBODY, NOW)).state == "done"
    assert engine.restarts[APP] == 1


async def test_one_that_never_reached_the_engine_is_made_after_all(engine: Deployment) -> None:
    step = await claimed(restart(engine))
    second = restart(engine)
    settling = after(step, await second.advance(step, NOBODY, NOW))
    again = await second.advance(settling, NOBODY, NOW + SETTLE)
    assert (again.phase, engine.restarts[APP]) == ("restarting", 0)
    # Cut off again right here: a third process looks anew, and does not send.
    third = restart(engine)
    assert (await third.advance(after(step, again), NOBODY, NOW + SETTLE)).phase == "settling"
    assert engine.restarts[APP] == 0
    assert (await second.advance(after(step, again), NOBODY, NOW + SETTLE)).state == "done"
    assert engine.restarts[APP] == 1


async def test_one_that_was_made_is_not_made_again_because_the_container_ended_anew(
    engine: Deployment,
) -> None:
    first, second = restart(engine), restart(engine)
    step = await claimed(first)
    await first.advance(step, NOBODY, NOW)
    engine.stop(APP)
    settling = after(step, await second.advance(step, NOBODY, NOW))
    assert (await second.advance(settling, NOBODY, NOW + SETTLE)).state == "done"
    assert engine.restarts[APP] == 1


async def test_a_lost_answer_is_looked_up(engine: Deployment) -> None:
    action = restart(engine)
    engine.lost_answers = 1
    assert (await action.advance(await claimed(action), NOBODY, NOW)).state == "done"


async def test_an_engine_that_refuses_or_is_away_is_a_failure_in_words(engine: Deployment) -> None:
    action = restart(engine)
    step = await claimed(action)
    engine.refusal = "no such luck"
    failed = await action.advance(step, NOBODY, NOW)
    assert failed.state == "failed"
    assert "no such luck" in failed.words

    second = restart(engine)
    settling = after(step, await second.advance(step, NOBODY, NOW))
    engine.containers.clear()
    gone = await second.advance(settling, NOBODY, NOW)
    assert (gone.phase, "no container" in gone.words) == ("settling", True)
    late = await second.advance(settling, NOBODY, NOW + SETTLE)
    assert (late.state, "no container" in late.words) == ("failed", True)
    with pytest.raises(EngineError, match="no container"):
        await second.prepare(step, NOBODY, NOW)
