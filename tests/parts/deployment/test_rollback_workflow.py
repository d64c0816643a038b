"""rollback.yml, run as a runner does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from target.engine import Engine
from tests.conftest import AppImages
from tests.parts.deployment.kit import WORKFLOW, Env, on_the_runner, state_of
from tests.real.project import APP, Project
from tests.real.workflow import run_workflow


@pytest.mark.engine
def test_the_workflow_rolls_back(env: Env, client: Engine, app_images: AppImages) -> None:
    """As a person starts it by hand: every input but the reason is empty."""
    done = run_workflow(WORKFLOW, {"reason": "pages are empty"}, on_the_runner(env))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert (answer["outcome"], answer["reason"]) == ("done", "pages are empty")
    assert client.container(APP).image_id == app_images.v1.id


@pytest.mark.engine
def test_the_workflow_takes_what_the_monitor_sends(
    env: Env, client: Engine, app_images: AppImages
) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    inputs = {
        "rollback_type": "previous_version",
        "target_commit": app_images.v1.revision,
        "reason": 'ServiceDown: "disk" `x` $(touch /tmp/owned)',
        "force_rollback": "true",
        "correlation_id": "inc-7.rollback-1",
        "expires_at": soon,
        "target_image": app_images.v1.id,
    }
    done = run_workflow(WORKFLOW, inputs, on_the_runner(env))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["correlation_id"] == "inc-7.rollback-1"
    assert answer["reason"] == inputs["reason"]
    assert client.container(APP).image_id == app_images.v1.id


@pytest.mark.engine
@pytest.mark.parametrize(
    "name", ["reason", "target_commit", "target_image", "correlation_id", "expires_at"]
)
@pytest.mark.parametrize(
    "text",
    [
        """$(touch "$MARK")`touch "$MARK"`"; touch "$MARK"; "'; touch $MARK; '\ntouch $MARK\n""",
        "--force",
    ],
)
def test_hostile_inputs_are_only_text(
    name: str, text: str, env: Env, project: Project, client: Engine, tmp_path: Path
) -> None:
    """The request has expired besides, so that even a reason, which may be any text, changes nothing."""
    before = state_of(project, client)
    inputs = {"reason": "x", "expires_at": "2026-01-02T03:04:05Z", name: text}
    done = run_workflow(WORKFLOW, inputs, {**on_the_runner(env), "MARK": str(tmp_path / "mark")})
    assert done.returncode == 1, done.stderr
    assert f"exit status {1 if name == 'reason' else 2}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "mark").exists()
    assert state_of(project, client) == before


def test_a_runner_without_the_toolkit_says_so() -> None:
    done = run_workflow(WORKFLOW, {"reason": "x"}, {"PATH": "/usr/bin:/bin"})
    assert done.returncode == 1
    assert "sermon-recovery is not installed on this runner" in done.stderr
