"""When an emergency stop is proposed, what it would stop, and while it is in force."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver.approving import questions
from receiver.emergency import apps, in_force, live, proposed
from receiver.records import Incident, Step
from receiver.settings import ReceiverSettings
from target.engine import COMPOSE_PROJECT, COMPOSE_SERVICE, Container
from target.roles import OUR_PROJECT

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
SETTINGS = ReceiverSettings()
ENDED = Step(1, 1, "rollback", "app", "ServiceDown", "failed", "", NOW, "no runner", NOW, NOW)
OPEN = Incident(1, "app", "open", "critical", NOW, NOW, None, 0, "", 0, None)
STOP = replace(ENDED, id=2, action="emergency_stop", state="done")


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@pytest.mark.parametrize(
    ("incident", "at", "due"),
    [
        (OPEN, 3, 10),
        (OPEN, 25, 25),
        (replace(OPEN, opened_at=NOW - minutes(60)), 3, 10),
        (replace(OPEN, opened_at=NOW - minutes(8), ladder_at=None), 1, 2),
    ],
)
def test_it_is_proposed_for_ten_minutes_on_the_ladder(
    incident: Incident, at: float, due: float
) -> None:
    planned = proposed(ENDED, incident, [ENDED], NOW + minutes(at), switched_on=True)
    assert planned is not None
    assert (planned.action, planned.target, planned.ask) == ("emergency_stop", "app", True)
    assert planned.due_at == NOW + minutes(due)


@pytest.mark.parametrize(
    ("ended", "incident", "known", "on"),
    [
        (replace(ENDED, action="restart"), OPEN, [], True),
        (replace(ENDED, action="cleanup"), OPEN, [], True),
        (replace(ENDED, action="emergency_stop"), OPEN, [], True),
        (replace(ENDED, state="done"), OPEN, [], True),
        (replace(ENDED, state="refused"), OPEN, [], True),
        (replace(ENDED, state="running"), OPEN, [], True),
        (ENDED, replace(OPEN, severity="warning"), [], True),
        (ENDED, replace(OPEN, severity="info"), [], True),
        (ENDED, OPEN, [], False),
        *[
            (ENDED, OPEN, [replace(STOP, state=state)], True)
            for state in ("pending", "running", "done", "failed", "refused", "dropped")
        ],
    ],
)
def test_where_one_condition_is_missing_nothing_is_proposed(
    ended: Step, incident: Incident, known: list[Any], on: bool
) -> None:
    assert proposed(ended, incident, [ended, *known], NOW, switched_on=on) is None


def container(name: str, state: str = "running", **more: Any) -> Container:
    labels = {COMPOSE_SERVICE: name, COMPOSE_PROJECT: more.pop("project", "sermon-uploader")}
    fixed: dict[str, Any] = {
        "id": name, "name": name, "image": "i", "image_id": "sha256:1", "state": state, "health": None,
        "exit_code": 0, "oom_killed": False, "restart_count": 0, "pid": 1, "created_at": NOW,
        "started_at": NOW - minutes(60), "finished_at": None, "tty": False, "log_path": "",
        "restart_policy": "", "labels": labels,
    }  # fmt: skip
    return Container(**(fixed | more))


BACKEND = container("sermon-uploader-backend")
MACHINE = [
    BACKEND,
    container("sermon-uploader-minio"),
    container("sermon-uploader-frontend", "restarting"),
    container("sermon-uploader-old", "exited"),
    container("postgres", project="other"),
    container("sermon-uploader-exporter", project=OUR_PROJECT),
]


def test_what_would_be_stopped_is_the_application_alone() -> None:
    found = live(MACHINE, SETTINGS)
    assert {one.name for one in found} == {"sermon-uploader-backend", "sermon-uploader-frontend"}
    assert "sermon-uploader-old" in {one.name for one in apps(MACHINE, SETTINGS)}
    ask = questions.stop(found)
    assert ask.subject == "sermon-uploader-backend sermon-uploader-frontend"
    assert "sermon-recovery emergency-restart" in ask.blast
    assert "MinIO goes on, all data stay" in ask.blast


RESTART = replace(ENDED, id=3, action="restart", state="pending")
STOPPED = replace(BACKEND, state="exited")


@pytest.mark.parametrize(
    ("step", "stops", "containers", "held"),
    [
        (RESTART, [STOP], [STOPPED], True),
        (replace(RESTART, action="rollback"), [STOP], [STOPPED], True),
        (RESTART, [STOP], [STOPPED, container("sermon-uploader-minio")], True),
        (replace(RESTART, target="minio"), [STOP], [STOPPED], False),
        (RESTART, [], [STOPPED], False),
        (RESTART, [replace(STOP, state="failed")], [STOPPED], False),
        (RESTART, [STOP], [BACKEND], False),
        # A person has started it since, and it has died again: that is a new outage.
        (RESTART, [STOP], [replace(STOPPED, started_at=NOW + minutes(5))], False),
        (RESTART, [STOP, replace(STOP, ended_at=NOW + minutes(9))], [replace(STOPPED, started_at=NOW + minutes(5))], True),
    ],
)  # fmt: skip
def test_what_was_stopped_on_purpose_stays_so_until_it_is_started(
    step: Step, stops: list[Step], containers: list[Container], held: bool
) -> None:
    words = in_force(step, stops, containers, SETTINGS)
    assert bool(words) is held
    assert not held or "sermon-recovery emergency-restart" in words
