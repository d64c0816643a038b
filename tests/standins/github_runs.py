"""What GitHub keeps: runs, runners, deployments; and the JSON that it shows of them.

Source: github/docs, src/rest/data/fpt-2022-11-28/actions.json and repos.json.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.standins.github_workflow import Workflow

RunWorkflow = Callable[[Path, Mapping[str, str], Mapping[str, str]], Any]
"""Run the workflow and give its exit code, or something that has one."""


@dataclass(frozen=True)
class Script:
    """A run that does nothing: how long it is queued and runs, and how it ends.

    ``by_hand``: it moves only when the test says ``github.advance(…)``.
    """

    queued_seconds: float = 0.0
    running_seconds: float = 0.0
    conclusion: str = "success"
    by_hand: bool = False


@dataclass(frozen=True)
class Real:
    """A run that really runs the workflow on this machine, with ``env`` added to its environment."""

    env: Mapping[str, str] = field(default_factory=dict)
    queued_seconds: float = 0.0
    run_workflow: RunWorkflow | None = None

    def conclude(self, run: Run) -> str:
        """Run it (this blocks) and give the run's conclusion; stdout, then stderr, go to ``run.log``."""
        try:
            run_it = (
                self.run_workflow or importlib.import_module("tests.real.workflow").run_workflow
            )
            result = run_it(run.workflow.path, run.inputs, self.env)
            run.log = "".join(getattr(result, name, None) or "" for name in ("stdout", "stderr"))
            return "success" if _exit_code(result) == 0 else "failure"
        except Exception:  # noqa: BLE001 - whatever kept the step from running is shown as GitHub shows it
            run.log = traceback.format_exc()
            return "startup_failure"


def _exit_code(result: object) -> int:
    if isinstance(result, int):
        return result
    for name in ("returncode", "exit_code"):
        code = getattr(result, name, None)
        if isinstance(code, int):
            return code
    raise TypeError(f"run_workflow gave no exit code: {result!r}")


@dataclass
class Runner:
    """A self-hosted runner. One that is offline leaves its jobs queued."""

    id: int
    name: str
    labels: tuple[str, ...]
    online: bool = True
    busy: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "os": "linux",
            "status": "online" if self.online else "offline",
            "busy": self.busy,
            "labels": [{"name": label, "type": "custom"} for label in self.labels],
        }


@dataclass
class Run:
    """One workflow run. Times are epoch seconds; ``status`` and ``conclusion`` are GitHub's words."""

    id: int
    number: int
    workflow: Workflow
    ref: str
    sha: str
    inputs: dict[str, str]
    title: str
    plan: Script | Real
    created_at: float
    updated_at: float
    status: str = "queued"
    conclusion: str | None = None
    runner: Runner | None = None
    started_at: float | None = None
    cancel_asked: bool = False
    log: str = ""
    history: list[str] = field(default_factory=lambda: ["queued"])

    @property
    def done(self) -> bool:
        return self.status == "completed"

    def move(self, now: float, status: str, conclusion: str | None = None) -> None:
        """Take the next status; a completed run does not move again."""
        if self.done:
            return
        self.status, self.conclusion, self.updated_at = status, conclusion, now
        self.history.append(conclusion or status)
        if status == "in_progress" and self.started_at is None:
            self.started_at = now

    def as_json(self, api: str, repository: str) -> dict[str, Any]:
        """``api``: the address of the repository's API, for the links."""
        url = f"{api}/actions/runs/{self.id}"
        return {
            "id": self.id,
            "name": self.workflow.name,
            "display_title": self.title,
            "head_branch": self.ref,
            "head_sha": self.sha,
            "path": f".github/workflows/{self.workflow.file}",
            "run_number": self.number,
            "run_attempt": 1,
            "event": "workflow_dispatch",
            "status": self.status,
            "conclusion": self.conclusion,
            "workflow_id": self.workflow.id,
            "url": url,
            "html_url": html_url(repository, self.id),
            "jobs_url": f"{url}/jobs",
            "cancel_url": f"{url}/cancel",
            "logs_url": f"{url}/logs",
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
            "run_started_at": iso(self.created_at),
            "actor": {"login": "sermon-monitor", "type": "User"},
            "repository": {"full_name": repository},
        }

    def job_json(self) -> dict[str, Any]:
        ended = iso(self.updated_at) if self.done else None
        return {
            "id": self.id * 10,
            "run_id": self.id,
            "name": self.workflow.job,
            "status": "queued" if self.status == "pending" else self.status,
            "conclusion": self.conclusion,
            "labels": list(self.workflow.labels),
            "runner_id": self.runner.id if self.runner else None,
            "runner_name": self.runner.name if self.runner else None,
            "started_at": iso(self.started_at) if self.started_at else None,
            "completed_at": ended,
            "steps": [],
        }


@dataclass(frozen=True)
class Dispatch:
    """One accepted dispatch: what was asked, and the run that it made."""

    at: float
    ref: str
    inputs: dict[str, str]
    """As sent, without the defaults."""
    body: dict[str, Any]
    headers: Mapping[str, str]
    run: Run


@dataclass
class Deployment:
    """A deployment with its statuses, oldest first: (state, epoch seconds)."""

    id: int
    sha: str
    ref: str
    environment: str
    created_at: float
    statuses: list[tuple[str, float]]

    def as_json(self, api: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "sha": self.sha,
            "ref": self.ref,
            "task": "deploy",
            "environment": self.environment,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.statuses[-1][1] if self.statuses else self.created_at),
            "statuses_url": f"{api}/deployments/{self.id}/statuses",
        }

    def statuses_json(self) -> list[dict[str, Any]]:
        """Newest first."""
        return [
            {
                "id": self.id * 100 + index,
                "state": state,
                "environment": self.environment,
                "created_at": iso(at),
            }
            for index, (state, at) in reversed(list(enumerate(self.statuses)))
        ]


def html_url(repository: str, run_id: int) -> str:
    return f"https://github.com/{repository}/actions/runs/{run_id}"


def iso(moment: float) -> str:
    """Whole seconds, as GitHub prints every time."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
