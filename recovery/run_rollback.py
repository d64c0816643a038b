"""One rollback from request to result: may it be done, by which plan, and how did it end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from recovery.inputs import clock_is_behind, printable, too_late
from recovery.ports import listening, taken
from recovery.rollback import Wanted, resolve
from recovery.terminal import Terminal, uninterrupted
from target.compose import ComposeError
from target.deploy import execute
from target.deployment import DeployError, Deployment, find_deployment
from target.engine import Engine
from target.plan import Outcome, Plan, plan_rollback
from target.settings import DeploymentSettings
from target.verify import Patience, healthy_now
from target.version_keeper import LedgerFile
from target.versions import Ledger, condemn

SYSTEM_LEDGER = Path("/var/lib/sermon-monitor/versions.json")
Status = Literal[
    "done", "already", "dry_run", "refused", "not_needed", "expired", "put_back", "broken"
]
CLOCK_PATIENCE_SECONDS = 120.0
"""How long a request with an end waits for a clock that is plainly not set: after a boot, a Pi asks the
network for the time, and a runner may be quicker."""


@dataclass(frozen=True)
class Request:
    """What was asked for; everything has been checked for its form."""

    wanted: Wanted
    service: str | None = None
    reason: str = ""
    expires_at: datetime | None = None
    correlation_id: str = ""
    force: bool = False
    yes: bool = False
    dry_run: bool = False
    verify_seconds: float = 180.0


@dataclass(frozen=True)
class Result:
    status: Status
    words: str
    request: Request
    plan: Plan | None = None
    outcome: Outcome | None = field(default=None)

    @property
    def exit_code(self) -> int:
        return 0 if self.status in ("done", "already", "dry_run") else 1

    def as_json(self) -> dict[str, Any]:
        """What ``--json`` prints; ``image_id`` is what runs now, as far as is known."""
        former = self.plan.former if self.plan else None
        runs = former.image_id if former else ""
        return {
            "outcome": self.status,
            "words": self.words,
            "reason": self.request.reason,
            "correlation_id": self.request.correlation_id,
            "service": self.plan.deployment.service if self.plan else self.request.service,
            "target": self.plan.target.title if self.plan else None,
            "revision": _revision(self.plan) if self.plan else "",
            "former_image_id": runs,
            "image_id": self.outcome.image_id if self.outcome else runs,
            "image": self.outcome.image if self.outcome else None,
            "plan": self.plan.lines() if self.plan else [],
        }


class RefusedError(Exception):
    """May not be done; the words say why."""

    def __init__(
        self, words: str, status: Literal["refused", "not_needed", "expired"] = "refused"
    ) -> None:
        super().__init__(words)
        self.status: Status = status


def roll_back(settings: DeploymentSettings, request: Request, terminal: Terminal) -> Result:
    """Carry out ``request``. Whatever a person can cause ends as a Result, not as an exception."""
    ledger_file = LedgerFile(ledger_path(settings), terminal.say)
    engine = Engine(settings.docker_host)
    plan: Plan | None = None
    try:
        ledger = _read(ledger_file, terminal)
        _in_time(request, ledger, terminal)
        plan = _plan(settings, request, ledger, engine)
        result = _decided(plan, request, terminal) or _executed(plan, request, terminal)
    except RefusedError as error:
        result = Result(error.status, str(error), request, plan)
    except DeployError as error:
        result = Result("refused", str(error), request, plan)
    finally:
        engine.close()
    if result.status == "done" and result.outcome:
        _condemn(ledger_file, result.outcome, terminal)
    terminal.say(f"{result.status.replace('_', ' ')}: {result.words}")
    return result


def ledger_path(settings: DeploymentSettings) -> Path:
    """STATE_DIR's ledger. Whoever may not write the monitor's own directory still reads its ledger there."""
    own = settings.state_dir / "versions.json"
    if "state_dir" in settings.model_fields_set or os.access(own, os.R_OK):
        return own
    return SYSTEM_LEDGER if os.access(SYSTEM_LEDGER, os.R_OK) else own


def _read(ledger_file: LedgerFile, terminal: Terminal) -> Ledger:
    """Only read: the monitor's process sets a broken file aside. A rollback with a target needs none."""
    try:
        ledger, problem = ledger_file.read()
    except OSError as error:
        ledger, problem = Ledger(), f"{ledger_file.path}: {error.strerror}"
    if problem:
        terminal.say(f"the version ledger cannot be used: {problem}")
    return ledger


def _in_time(request: Request, ledger: Ledger, terminal: Terminal) -> None:
    """Raises RefusedError for a request that has expired, or where nobody can tell."""
    seen = max((r.until or r.since for r in ledger.releases), default=None)
    if request.expires_at is not None and clock_is_behind(datetime.now(UTC), seen):
        with terminal.working("this machine's clock is not set yet; waiting for it"):
            wait_for_clock(lambda: clock_is_behind(datetime.now(UTC), seen))
    if late := too_late(request.expires_at, datetime.now(UTC), seen):
        raise RefusedError(late, "expired")


def wait_for_clock(
    behind: Callable[[], bool],
    patience: float = CLOCK_PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return as soon as the clock is not ``behind`` any more, or after ``patience`` seconds."""
    began = time.monotonic()
    while behind() and time.monotonic() - began < patience:
        sleep(1.0)


def _revision(plan: Plan) -> str:
    """The commit that the target was built from, as far as is known."""
    return plan.target.revision or (plan.local.revision if plan.local else "")


def _plan(settings: DeploymentSettings, request: Request, ledger: Ledger, engine: Engine) -> Plan:
    deployment = find_deployment(settings, engine, request.service)
    _ports_free(deployment)
    target = resolve(request.wanted, deployment, ledger, engine)
    return plan_rollback(
        settings, engine, deployment, target, request.reason, request.correlation_id
    )


def _ports_free(deployment: Deployment) -> None:
    """Where somebody else listens on the service's port, no version of it can start. Raises RefusedError."""
    try:
        project = deployment.compose.project()
    except ComposeError as error:
        raise RefusedError(str(error)) from error
    others = taken(project, deployment.containers, listening()).get(deployment.service, {})
    for port, holder in others.items():
        raise RefusedError(
            f"port {port}, which {deployment.service} needs, is held by {holder} (sudo ss -ltnp 'sport = :{port}')"
        )


def _decided(plan: Plan, request: Request, terminal: Terminal) -> Result | None:
    """A result that needs no change, or None when the plan is to be carried out."""
    with terminal.working(f"asking {plan.health_url} whether the app is well"):
        sick = healthy_now(plan.health_url, expected_body=plan.health_body)
    if plan.already:
        if sick is None:
            return Result("already", f"{plan.target.title} runs and is healthy", request, plan)
        raise RefusedError(
            f"{plan.target.title} is what runs now, and it is not well ({sick.detail}): a rollback to it cures nothing"
        )
    for line in [*plan.lines(), *([f"reason: {request.reason}"] if request.reason else [])]:
        terminal.say(line)
    healthy = "the app answers healthy; --force rolls back all the same"
    if request.dry_run:
        note = (
            f"; done now it would be refused: {healthy}"
            if sick is None and not request.force
            else ""
        )
        return Result("dry_run", f"nothing was changed{note}", request, plan)
    if sick is None and not request.force:
        raise RefusedError(healthy, "not_needed")
    if not request.yes and not terminal.confirm("Do this?"):
        raise RefusedError("not confirmed; without a terminal, --yes says yes")
    return None


def _executed(plan: Plan, request: Request, terminal: Terminal) -> Result:
    _in_time(request, Ledger(), terminal)
    with uninterrupted(terminal), terminal.working("rolling back") as progress:
        outcome = execute(plan, progress, Patience(deadline=request.verify_seconds))
    return Result(outcome.status, printable(outcome.words, 2000), request, plan, outcome)


def _condemn(ledger_file: LedgerFile, outcome: Outcome, terminal: Terminal) -> None:
    """What was left is no place to go back to."""
    if not outcome.former_image_id:
        return
    try:
        ledger_file.update(lambda ledger: condemn(ledger, outcome.service, outcome.former_image_id))
    except OSError as error:
        terminal.say(
            f"the version ledger could not be told that the former version is bad: "
            f"{error.filename or ledger_file.path}: {error.strerror}"
        )
