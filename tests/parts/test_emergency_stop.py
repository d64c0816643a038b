"""An emergency stop: proposed after a failed rollback, done on a person's word, and not undone by ourselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from receiver.actions.emergency_stop import EmergencyStop
from receiver.deciding.policy import PlannedStep, parse_policy
from receiver.records import Step
from receiver.store import incidents, steps
from target.engine import Engine
from tests.parts.acting_engine import ActingEngine
from tests.parts.approval_kit import PUBLIC, Scene, fetch, press, scene, stamp
from tests.parts.receiver_kit import alert, body, ended, policy_text, step

GONE = alert("Gone", labels={"alertname": "Gone", "severity": "critical", "service": "app"})
DOWN = alert("Down", labels={"alertname": "Down", "severity": "critical", "service": "app"})
RAN_FOR = 600


async def after_a_failed_rollback(it: Scene, ran_for: int = RAN_FOR) -> None:
    """A rollback of the open incident, ``ran_for`` seconds old, of which nobody can tell what became: it fails."""
    it.engine.add("b" * 64, "sermon-uploader-minio")
    it.engine.add("c" * 64, "somebody-elses")
    it.engine.add("d" * 64, "sermon-uploader-old", Status="exited")
    await it.running.post(body(GONE))
    receiver = it.running.receiver

    def change(c: Any) -> None:
        now = receiver._clock.now()
        c.execute("UPDATE incidents SET opened_at = opened_at - ?, ladder_at = ladder_at - ?", (ran_for, ran_for))  # fmt: skip
        (incident,) = incidents.incidents(c)
        steps.add_step(c, incident.id, PlannedStep("rollback", "app", now), "Gone")
        (found,) = [s for s in steps.steps(c, incident.id) if s.action == "rollback"]
        assert steps.claim_step(c, found.id, "following", {}, now)

    await receiver._database.run(change)
    receiver.worker.wake()
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


async def test_after_a_crash_it_goes_on_and_repeats_nothing(tmp_path: Path) -> None:
    """One of the two is gone, as if it had been removed; the step as it was committed is advanced twice."""
    engine = ActingEngine(tmp_path / "engine.sock")
    async with engine.serving():
        engine.add("a" * 64, "sermon-uploader")
        engine.add("b" * 64, "sermon-uploader-minio")
        client = Engine(engine.host)
        action = EmergencyStop(client, parse_policy(policy_text()).timing)
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
    action = EmergencyStop(client, parse_policy(policy_text()).timing)
    soon = await action.advance(RUNNING, NO_HISTORY, NOW)
    assert (soon.state, soon.phase) == ("running", "stopping")
    assert soon.due_at is not None
    assert soon.due_at > NOW
    step_of_old = replace(RUNNING, started_at=NOW - timedelta(minutes=10))
    late = await action.advance(step_of_old, NO_HISTORY, NOW)
    assert (late.state, late.call_person) == ("failed", True)
    client.close()
