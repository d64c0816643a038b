"""rollback.yml, run as a runner does, with inputs that somebody hostile would send: they are only text."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from target.engine import Engine
from tests.parts.deployment.kit import WORKFLOW, Env, on_the_runner, state_of
from tests.real.project import Project
from tests.real.workflow import run_workflow

SHELL = """$(touch "$MARK")`touch "$MARK"`"; touch "$MARK"; "'; touch $MARK; '\ntouch $MARK\n"""
OPTION = "--force"
EXPRESSION = "${{ github.token }}"
TEXTS = ["reason", "target_commit", "target_image", "correlation_id", "expires_at"]
TOKEN = "a-token-of-the-tests"


def dispatched(inputs: dict[str, str], env: Env, mark: Path) -> subprocess.CompletedProcess[str]:
    """The request has expired besides, so that even a reason, which may be any text, changes nothing."""
    given = {"reason": "x", "expires_at": "2026-01-02T03:04:05Z", **inputs}
    done = run_workflow(
        WORKFLOW, given, {**on_the_runner(env), "MARK": str(mark)}, {"GITHUB_TOKEN": TOKEN}
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert not mark.exists()
    return done


@pytest.mark.engine
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("text", [SHELL, OPTION], ids=["shell", "an option"])
def test_hostile_inputs_are_only_text(
    name: str, text: str, env: Env, project: Project, client: Engine, tmp_path: Path
) -> None:
    before = state_of(project, client)
    done = dispatched({name: text}, env, tmp_path / "mark")
    assert f"exit status {1 if name == 'reason' else 2}" in done.stderr
    assert state_of(project, client) == before


@pytest.mark.engine
def test_an_expression_in_any_input_is_filled_in_by_nobody(
    env: Env, project: Project, client: Engine, tmp_path: Path
) -> None:
    """All at once: what fills them in would do so before anything is looked at."""
    before = state_of(project, client)
    done = dispatched(dict.fromkeys(TEXTS, EXPRESSION), env, tmp_path / "mark")
    assert "exit status 2" in done.stderr
    assert state_of(project, client) == before


def test_a_runner_without_the_toolkit_says_so() -> None:
    done = run_workflow(WORKFLOW, {"reason": "x"}, {"PATH": "/usr/bin:/bin"})
    assert done.returncode == 1
    assert "sermon-recovery is not installed on this runner" in done.stderr
