"""An emergency stop: proposed after a failed rollback, done on a person's word, and not undone by ourselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.actions.emergency_stop import EmergencyStop
from receiver.deciding.decision import PlannedStep
from receiver.deciding.policy import parse_policy
from receiver.records import Step
from receiver.settings import ReceiverSettings
from receiver.store import incidents, steps
from receiver.verify import Confirmer
from target.engine import Engine
from tests.parts.acting_engine import ActingEngine
from tests.parts.approval_kit import PUBLIC, Scene, fetch, press, scene, stamp
from tests.parts.receiver_kit import alert, body, ended, policy_text, step
from tests.parts.rollback_kit import WORKFLOW
from tests.standins.github import GitHub

GONE = alert("Gone", labels={"alertname": "Gone", "severity": "critical", "service": "app"})
DOWN = alert("Down", labels={"alertname": "Down", "severity": "critical", "service": "app"})
RAN_FOR = 600


LOST = {
    "correlation_id": "sm-none",
    "search_until": "2026-01-01T00:00:00Z",
    "expires_at": "2026-01-01T00:00:00Z",
    "inputs": {"expires_at": "2026-01-01T00:00:00Z"},
    "service": "app",
    "target": {"image_id": "", "title": "a1a1a1a", "revision": "a1a1a1a"},
}
"""A dispatch of which no run is to be found, while this machine cannot do it either."""


async def after_a_failed_rollback(it: Scene, ran_for: int = RAN_FOR) -> None:
    """A rollback of the open incident, ``ran_for`` seconds old, of which nobody can tell what became: it fails."""
    it.engine.add("b" * 64, "sermon-uploader-minio")
    it.engine.add("c" * 64, "somebody-elses")
    it.engine.add("d" * 64, "sermon-uploader-old", Status="exited")
    await it.running.post(body(GONE))
    receiver = it.running.receiver

    def change(c: Any) -> None:
        now = receiver.clock.now()
        c.execute("UPDATE incidents SET opened_at = opened_at - ?, ladder_at = ladder_at - ?", (ran_for, ran_for))  # fmt: skip
        (incident,) = incidents.incidents(c)
        steps.add_step(c, incident.id, PlannedStep("rollback", "app", now), "Gone")
        (found,) = [s for s in steps.steps(c, incident.id) if s.action == "rollback"]
        assert steps.claim_step(c, found.id, "searching", LOST, now)

    await receiver._database.run(change)
    it.running.duty.worker.wake()
    await it.running.until(ended("rollback", "failed"), "the failure")


async def asked(it: Scene) -> tuple[str, str]:
    """The button's address on the card, and the page behind it."""
    await it.told(lambda d: any(m.body.get("components") for m in d.messages))
    _, html, _ = await fetch(it, it.url)
    return it.url, html


def card(it: Scene) -> str:
    return str([m.body for m in it.discord.messages if m.embeds])


async def test_it_is_asked_done_once_and_stays_done(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        assert 'sermon_monitor_actions_total{action="emergency_stop",outcome="done"} 0.0' in it.running.metrics()  # fmt: skip
        await after_a_failed_rollback(it)
        url, html = await asked(it)
        assert it.engine.done == [], "proposed, never taken"
        assert "Emergency stop of sermon-uploader" in html
        assert "the rollback has failed, and it is still critical" in html
        assert "somebody-elses" not in html
        await it.told(lambda _: url.replace(it.running.url, PUBLIC) in card(it))
        assert "Emergency stop" in card(it)
        assert (await press(it, url, stamp(html)))[0] == 200
        incident = await it.running.until(ended("emergency_stop", "done"), "the stop")
        assert it.engine.done == ["stop sermon-uploader"]
        assert step(incident, "emergency_stop")["words"].startswith(
            "stopped sermon-uploader; MinIO"
        )
        await it.told(lambda _: "sermon-recovery emergency-restart" in card(it))
        assert 'sermon_monitor_actions_total{action="emergency_stop",outcome="done"} 1.0' in it.running.metrics()  # fmt: skip
        # What fires because of it must not start it again.
        await it.running.post(body(DOWN))
        await it.running.until(
            lambda i: "stopped on purpose" in step(i, "restart").get("words", ""), "the refusal"
        )
        assert it.engine.done == ["stop sermon-uploader"]
        # Once somebody has started it, it is helped again.
        it.engine.containers["a" * 64]["State"]["StartedAt"] = datetime.now(UTC).isoformat()
        await it.running.until(ended("restart", "done"), "the restart")
        assert it.engine.done == ["stop sermon-uploader", "restart sermon-uploader"]


@asynccontextmanager
async def without_an_engine(tmp_path: Path, **settings: Any) -> AsyncIterator[tuple[Scene, GitHub]]:
    async with GitHub([WORKFLOW]) as github:
        given = {
            "DOCKER_HOST": f"unix://{tmp_path}/none.sock",
            "GITHUB_TOKEN": github.token,
            "GITHUB_REPO": github.repository,
            "GITHUB_API_URL": github.base_url,
            **settings,
        }
        async with scene(tmp_path, **given) as it:
            yield it, github


async def test_where_no_engine_answers_github_does_it_once(tmp_path: Path) -> None:
    async with without_an_engine(tmp_path) as (it, github):
        await after_a_failed_rollback(it)
        url, html = await asked(it)
        assert "Emergency stop of the deployment, by GitHub&#39;s workflow" in html
        assert "Stops the application and MinIO" in html
        assert "this process cannot do it: " in html
        assert github.dispatches == [], "proposed, never taken"
        assert (await press(it, url, stamp(html)))[0] == 200
        incident = await it.running.until(ended("emergency_stop", "done"), "the stop")
        (dispatch,) = github.dispatches
        assert dispatch.inputs["rollback_type"] == "emergency_stop"
        assert "incident 1 of app; approved by " in dispatch.inputs["reason"]
        assert dispatch.inputs["correlation_id"] in github.runs[0].title
        words = step(incident, "emergency_stop")["words"]
        assert "has stopped the deployment; all data stay; to start it again" in words
        assert "fails: " in words, "our own look agrees"


async def test_a_run_that_stopped_nothing_is_not_believed(tmp_path: Path) -> None:
    async with without_an_engine(tmp_path) as (it, github):
        await after_a_failed_rollback(it)
        url, html = await asked(it)

        async def well(_run: object) -> None:
            it.app.well = True

        github.hook("run", well)
        await press(it, url, stamp(html))
        incident = await it.running.until(ended("emergency_stop", "failed"), "the failure")
        words = step(incident, "emergency_stop")["words"]
        assert "by its own word, but the application answers: " in words
        assert "on the host, type: sermon-recovery emergency-stop" in words
        assert len(github.dispatches) == 1


@pytest.mark.file
async def test_where_neither_can_do_it_nobody_is_asked(tmp_path: Path) -> None:
    async with without_an_engine(tmp_path) as (it, github):
        github.set_workflow("rollback.yml", "disabled_manually")
        await after_a_failed_rollback(it)
        await it.running.until(
            lambda i: "rollback.yml is disabled" in step(i, "emergency_stop").get("words", ""),
            "the reason",
        )
        assert not any(m.body.get("components") for m in it.discord.messages)
        assert github.dispatches == []


async def test_a_no_means_no(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await after_a_failed_rollback(it)
        url, html = await asked(it)
        assert (await press(it, url, stamp(html), "deny"))[0] == 200
        await it.running.until(ended("emergency_stop", "refused"), "the end")
        assert it.engine.done == []


async def test_what_was_approved_is_what_is_stopped(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await after_a_failed_rollback(it)
        url, html = await asked(it)
        it.engine.add("e" * 64, "sermon-uploader-frontend")
        await press(it, url, stamp(html))
        await it.told(lambda d: it.url != url)
        assert it.engine.done == [], "another question by now"


@pytest.mark.parametrize("settings", [{"EMERGENCY_STOP_ON_CRITICAL": "false"}, {"DRY_RUN": "true"}])
async def test_switched_off_or_dry_nobody_is_asked(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    async with scene(tmp_path, **settings) as it:
        await after_a_failed_rollback(it)
        dry = "DRY_RUN" in settings
        incident = await it.running.until(ended("person", "done"), "the call")
        if dry:
            incident = await it.running.until(ended("emergency_stop", "refused"), "the end")
            assert "DRY_RUN is true" in step(incident, "emergency_stop")["words"]
        assert bool(step(incident, "emergency_stop")) is dry
        assert incident["approvals"] == []
        assert it.engine.done == []


async def test_before_ten_minutes_it_only_waits(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await after_a_failed_rollback(it, ran_for=0)
        incident = await it.running.until(ended("person", "done"), "the call")
        assert step(incident, "emergency_stop")["state"] == "pending"
        await it.told(lambda _: "Emergency stop**: only if it is still critical then, and a person approves it" in card(it))  # fmt: skip
        assert incident["approvals"] == []


async def test_what_is_over_needs_no_stop(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        await after_a_failed_rollback(it)
        url, _ = await asked(it)
        it.app.well = True
        await it.running.post(body({**GONE, "status": "resolved"}))
        await it.running.until(lambda i: i["state"] == "resolved", "the end")
        status, said, _ = await fetch(it, url)
        assert (status, "is overtaken" in said) == (410, True)
        assert it.engine.done == []


NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
NO_HISTORY: Any = None  # a step that runs needs none
DETAIL = {"containers": ["a" * 64, "f" * 64], "names": "sermon-uploader"}
RUNNING = Step(1, 1, "emergency_stop", "app", "Gone", "running", "stopping", NOW, "", NOW, None, DETAIL)  # fmt: skip


def by_this_machine(client: Engine) -> EmergencyStop:
    settings = ReceiverSettings.model_validate({"STATE_DIR": "/nonexistent"})
    http: Any = None  # nothing is asked by HTTP
    confirmer = Confirmer(settings, client, http)
    return EmergencyStop(client, parse_policy(policy_text()).timing, confirmer, None)


async def test_after_a_crash_it_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    """One of the two is gone, as if it had been removed; the step as it was committed is advanced twice."""
    engine = ActingEngine(tmp_path / "engine.sock")
    async with engine.serving():
        engine.add("a" * 64, "sermon-uploader")
        engine.add("b" * 64, "sermon-uploader-minio")
        client = Engine(engine.host)
        action = by_this_machine(client)
        for seconds in (0, 30):
            now = NOW + timedelta(seconds=seconds)
            progress = await action.advance(RUNNING, NO_HISTORY, now)
            assert progress.state == "done", progress
        assert engine.done == ["stop sermon-uploader"]
        # Away for an hour: somebody has started it meanwhile, and a yes is not for the whole night.
        engine.containers["a" * 64]["State"]["Status"] = "running"
        late = await action.advance(RUNNING, NO_HISTORY, NOW + timedelta(hours=1))
        assert (late.state, late.call_person) == ("failed", True)
        assert "still running: sermon-uploader; on the host, type: sermon-recovery emergency-stop" in late.words  # fmt: skip
        assert engine.done == ["stop sermon-uploader"]
        client.close()


async def test_an_engine_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    client = Engine(f"unix://{tmp_path}/none.sock")
    action = by_this_machine(client)
    soon = await action.advance(RUNNING, NO_HISTORY, NOW)
    assert (soon.state, soon.phase) == ("running", "stopping")
    assert soon.due_at is not None
    assert soon.due_at > NOW
    step_of_old = replace(RUNNING, started_at=NOW - timedelta(minutes=10))
    late = await action.advance(step_of_old, NO_HISTORY, NOW)
    assert (late.state, late.call_person) == ("failed", True)
    client.close()
