"""Before a dispatch, and before one is needed: would GitHub carry a rollback out?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.parts.receiver_kit import Running, body, ended, step
from tests.parts.rollback_kit import WORKFLOW, Stage, stage
from tests.standins.github import GitHub, Script

__all__ = ["stage"]  # the fixture
pytestmark = pytest.mark.engine
FILE = ".github/workflows/rollback.yml"


def rewritten(old: str, new: str) -> Callable[[GitHub], None]:
    text = WORKFLOW.read_text()
    assert old in text

    def change(github: GitHub) -> None:
        github.files["main", FILE] = text.replace(old, new)

    return change


def gone(github: GitHub) -> None:
    github.workflows.clear()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (lambda g: g.set_workflow("rollback.yml", "disabled_inactivity"), "rollback.yml is disabled_inactivity; enable it"),
        (gone, "ROLLBACK_WORKFLOW"),
        (lambda g: g.set_runner(online=False), "the runner pi is offline; start the runner"),
        (rewritten("      target_image:", "      image:"), "it has no input target_image"),
        (rewritten("workflow_dispatch:", "workflow_call:"), "it has no workflow_dispatch"),
    ],
)  # fmt: skip
async def test_what_would_come_to_nothing_is_not_dispatched(
    stage: Stage, trouble: Callable[[GitHub], Any], words: str
) -> None:
    trouble(stage.github)
    async with stage.receiver() as running:
        rollback = await stage.refused(running)
        assert words in rollback["words"], rollback["words"]
        assert 'refusals_total{gate="ready to be carried out"} 1.0' in running.metrics()
        assert "sermon_monitor_rollback_ready 0.0" in running.metrics()
    assert stage.github.dispatches == []


async def test_what_the_token_may_not_ask_holds_nothing(stage: Stage) -> None:
    stage.github.permissions = {"actions": "write"}
    stage.github.play(Script(by_hand=True))
    async with stage.receiver() as running:
        await running.post(body())
        await stage.github.wait_until(lambda g: g.dispatches, 60)
        assert "sermon_monitor_rollback_ready 1.0" in running.metrics()


async def test_a_github_that_cannot_be_asked_now_holds_nothing(stage: Stage) -> None:
    stage.github.play(Script(by_hand=True))
    stage.github.fail_next(503, method="GET", times=1000)
    async with stage.receiver() as running:
        await running.post(body())
        await stage.github.wait_until(lambda g: g.dispatches, 60)
        assert "sermon_monitor_rollback_ready 0.0" in running.metrics()


@pytest.mark.parametrize("what", ["a run", "a deployment"])
async def test_what_is_under_way_is_waited_for(stage: Stage, what: str) -> None:
    """As soon as it is over, the rollback is dispatched."""
    if what == "a run":
        run = stage.github.add_run("rollback.yml", "waiting")
    else:
        deployment = stage.github.add_deployment("5" * 40, states=["in_progress"])
    async with stage.receiver() as running:
        await running.post(body())
        incident = await running.until(lambda i: step(i, "rollback").get("words"), "a reason")
        rollback = step(incident, "rollback")
        assert (rollback["state"], "waiting" in rollback["words"] or "in progress" in rollback["words"]) == ("pending", True)  # fmt: skip
        assert stage.github.dispatches == []
        stage.github.play(Script(by_hand=True))
        if what == "a run":
            stage.github.advance(run, "completed", "failure")
        else:
            deployment.statuses.append(("failure", stage.github.clock()))
        running.receiver.lookout.router.preflight.forget()  # type: ignore[union-attr]
        await stage.github.wait_until(lambda g: g.dispatches, 60)


async def test_asking_again_costs_little(stage: Stage) -> None:
    """What a gate, the start and the next look ask at about the same time is asked once; later it is conditional."""
    stage.github.add_run("rollback.yml", "waiting")
    async with stage.receiver() as running:
        await running.post(body())
        await running.until(lambda i: step(i, "rollback").get("words"), "a reason")
        for _ in range(10):
            running.duty.worker.wake()
            await asyncio.sleep(0.05)
        first = len(stage.github.requests)
        assert first == 6, [seen.path for seen in stage.github.requests]
        preflight = running.receiver.lookout.router.preflight
        assert preflight is not None
        preflight.forget()
        await preflight.look(datetime.now(UTC))
    again = stage.github.requests[first : 2 * first]
    # The workflow of the deployment does not exist there, which is no answer to be remembered.
    assert sorted(seen.status for seen in again) == [304, 304, 304, 304, 304, 404]


async def looked(running: Running) -> str:
    """The metrics after the first look."""
    async with asyncio.timeout(60):
        while "rollback_ready" not in running.metrics():  # noqa: ASYNC110 - a scrape is all there is
            await asyncio.sleep(0.02)
    return running.metrics()


@pytest.mark.parametrize(
    ("days", "header", "ready"),
    [
        (30, "", "1.0"),
        (3, "", "0.0"),
        (-1, "", "0.0"),
        (None, "2031-01-01 00:00:00 UTC", "1.0"),
        (None, "SOON", "0.0"),
    ],
)
async def test_the_end_of_the_token_is_known_before(
    stage: Stage, days: int | None, header: str, ready: str
) -> None:
    soon = datetime.now(UTC) + timedelta(days=2)
    stage.github.token_expires = header.replace("SOON", f"{soon:%Y-%m-%d %H:%M:%S} UTC")
    given: dict[str, Any] = {}
    if days is not None:
        given["GITHUB_TOKEN_EXPIRES"] = f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"
    async with stage.receiver(**given) as running:
        metrics = await looked(running)
        assert f"sermon_monitor_rollback_ready {ready}" in metrics
        assert "sermon_monitor_github_token_expires_timestamp_seconds 1" in metrics


async def test_a_token_that_ends_soon_still_rolls_back(stage: Stage) -> None:
    stage.github.play(Script(by_hand=True))
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    async with stage.receiver(GITHUB_TOKEN_EXPIRES=tomorrow) as running:
        await running.post(body())
        await stage.github.wait_until(lambda g: g.dispatches, 60)


async def test_in_a_dry_run_and_without_a_token_nobody_looks(stage: Stage) -> None:
    dry: dict[str, Any] = {"DRY_RUN": "true"}
    for settings in (dry, {"GITHUB_TOKEN": None, "GITHUB_REPO": None}):
        async with stage.receiver(**settings) as running:
            await running.post(body())
            await running.until(ended("rollback", "refused"), "the refusal")
            assert "rollback_ready" not in running.metrics()
    assert stage.github.requests == []
