"""A rollback from its dispatch to its proof, with a real Engine and a GitHub that makes trouble."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import Any

import pytest

from receiver.store import messages
from receiver.store.database import reading
from tests.parts.receiver_kit import application, body, ended, step
from tests.parts.rollback_kit import BY_HAND, Stage, stage
from tests.real.processes import wait_for
from tests.standins.github import Script

__all__ = ["stage"]  # the fixture
pytestmark = pytest.mark.engine


@pytest.mark.parametrize("trouble", ["none", "older server", "answer lost", "rate limit", "retry"])
async def test_it_is_dispatched_once_and_verified(stage: Stage, trouble: str) -> None:
    """The application is well again only once the run has put v1 in its place."""
    stage.github.older = trouble == "older server"
    if trouble == "answer lost":
        stage.github.lose_answer(method="POST")
    elif trouble == "rate limit":
        stage.github.limit_secondary(1, method="POST")
    elif trouble == "retry":
        stage.github.fail_next(500, method="GET", part="/actions/runs/", times=2)

    async with application() as app:
        app.well = False

        async def roll_back(run: Any) -> None:
            if run.status == "in_progress":
                await stage.run(stage.images.v1.tag)
                app.well = True

        stage.github.hook("run", roll_back)
        async with stage.receiver(APP_URL=app.url) as running:
            await running.post(body())
            incident = await running.until(ended("rollback", "done", "failed"), "the end")
    assert step(incident, "rollback")["state"] == "done", step(incident, "rollback")
    assert "v1" in incident["verdict"]
    assert "verified" in incident["verdict"]
    (dispatch,) = stage.github.dispatches
    sent = dispatch.inputs
    assert sent["rollback_type"] == "previous_version"
    assert sent["target_commit"] == stage.images.v1.revision
    assert sent["force_rollback"] == "true"
    assert sent["correlation_id"] in dispatch.run.title
    assert step(incident, "rollback")["detail"]["run_id"] == dispatch.run.id


async def test_in_a_dry_run_nothing_is_dispatched(stage: Stage) -> None:
    async with stage.receiver(DRY_RUN="true") as running:
        await running.post(body())
        incident = await running.until(ended("rollback", "refused"), "the refusal")
    assert step(incident, "rollback")["words"].startswith("DRY_RUN is true")
    assert stage.github.requests == []


async def test_without_a_ledger_there_is_no_guess(stage: Stage) -> None:
    (stage.directory / "state" / "versions.json").unlink()
    async with stage.receiver() as running:
        await running.post(body())
        incident = await running.until(ended("person", "done"), "the call")
        await stage.discord.wait_until(lambda d: any(not m.embeds for m in d.messages))
    assert "knows no good version" in step(incident, "rollback")["words"]
    assert "GitHub knows no other version" in step(incident, "rollback")["words"]
    assert stage.github.dispatches == []


async def test_without_a_token_the_words_say_what_to_type(stage: Stage) -> None:
    async with stage.receiver(GITHUB_TOKEN=None, GITHUB_REPO=None) as running:
        await running.post(body())
        incident = await running.until(ended("person", "done"), "the call")
    assert "type: sermon-recovery rollback" in step(incident, "rollback")["words"]


async def test_a_run_that_no_runner_takes_is_cancelled(stage: Stage) -> None:
    """The token may not ask whether a runner is online, so that nobody knew."""
    del stage.github.permissions["administration"]
    stage.github.set_runner(online=False)
    async with stage.receiver(timing={"queue_deadline": "1s"}) as running:
        rollback = await stage.failed(running)
    assert "no runner took it in time" in rollback["words"]
    assert "ended as cancelled" in rollback["words"]
    assert BY_HAND in rollback["words"]
    (run,) = stage.github.runs
    assert run.conclusion == "cancelled"


async def test_a_run_that_fails(stage: Stage) -> None:
    stage.github.play(Script(conclusion="failure"))
    async with stage.receiver() as running:
        rollback = await stage.failed(running)
    assert "ended as failure" in rollback["words"]
    assert BY_HAND in rollback["words"]
    assert len(stage.github.dispatches) == 1


async def test_bad_credentials_are_shown_once(stage: Stage) -> None:
    async with stage.receiver(GITHUB_TOKEN="wr0ng") as running:
        rollback = await stage.refused(running)
    assert "set GITHUB_TOKEN anew" in rollback["words"]
    assert "wr0ng" not in str(rollback)
    assert [seen.status for seen in stage.github.requests] == [401]


async def test_a_run_that_succeeds_and_changes_nothing_is_no_rollback(stage: Stage) -> None:
    async with stage.receiver(timing={"verify_deadline": "1s"}) as running:
        rollback = await stage.failed(running)
    assert "meant was" in rollback["words"]
    assert len(stage.github.dispatches) == 1


async def test_a_dispatch_that_never_arrived_is_not_sent_again(stage: Stage) -> None:
    stage.github.fail_next(502, method="POST")
    async with stage.receiver(timing={"run_lookup": "500ms", "queue_deadline": "2s"}) as running:
        rollback = await stage.failed(running)
    assert "nothing was sent again" in rollback["words"]
    assert stage.github.dispatches == []
    assert [s.method for s in stage.github.requests].count("POST") == 1


async def test_interrupted_at_the_dispatch_the_run_is_found_again(stage: Stage) -> None:
    """GitHub has it, and we stopped before its answer came: the next start looks, and sends nothing."""
    stage.github.play(Script(by_hand=True))
    async with stage.receiver() as running:
        await running.post(body())
        await stage.github.wait_until(lambda g: g.dispatches)
        await running.until(lambda i: step(i, "rollback").get("phase") == "following", "it")
        database = running.receiver._database
        await database.run(
            lambda c: c.execute(
                "UPDATE steps SET phase = 'dispatching', detail = json_remove(detail, '$.run_id')"
            )
        )
    async with stage.receiver() as running:
        await running.until(lambda i: "run_id" in step(i, "rollback")["detail"], "the run")
        stage.github.advance(stage.github.runs[0], "completed", "cancelled")
        incident = await running.until(ended("rollback", "failed"), "the end")
    assert "ended as cancelled" in step(incident, "rollback")["words"]
    assert len(stage.github.dispatches) == 1


async def test_a_store_that_fails_after_the_dispatch_sends_nothing_again(stage: Stage) -> None:
    """GitHub has taken it, and we cannot write that down: it is looked for, and found."""
    store = stage.directory / "state" / "receiver.sqlite3"

    def hold_the_store(_dispatch: object) -> None:
        other = sqlite3.connect(store, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        # Longer than a writer waits for the lock, wherever in that time it begins to.
        threading.Timer(12.0, other.close).start()

    def found_again() -> bool:
        with reading(store) as connection:
            return any("found again" in event.words for event in messages.events(connection, 1))

    stage.github.hook("dispatch", hold_the_store)
    async with stage.receiver(timing={"run_lookup": "30s"}) as running:
        await running.post(body())
        await asyncio.to_thread(wait_for, found_again, "the run to be found again")
    assert len(stage.github.dispatches) == 1
