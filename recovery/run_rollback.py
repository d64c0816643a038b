"""One rollback from request to result: may it be done, by which plan, and how did it end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from recovery.backup.first import First, before
from recovery.deployments import gather, without_engine
from recovery.expiry import late
from recovery.inputs import printable
from recovery.ledger import ledger_path
from recovery.ports import listening, taken
from recovery.rollback_target import Wanted, resolve
from recovery.run import EXPECTED, INTERRUPTED, Flags, Session, words_of
from recovery.settings import RecoverySettings
from recovery.steps import Hands
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

Status = Literal[
    "done", "already", "dry_run", "refused", "not_needed", "expired", "put_back", "broken"
]


@dataclass(frozen=True)
class Request:
    """What was asked for; everything has been checked for its form."""

    wanted: Wanted
    service: str | None = None
    reason: str = ""
    expires_at: datetime | None = None
    correlation_id: str = ""
    force: bool = False
    without_backup: bool = False
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


def roll_back(settings: RecoverySettings, request: Request, terminal: Terminal) -> Result:
    """Carry out ``request``. Whatever a person can cause ends as a Result, not as an exception."""
    ledger_file = LedgerFile(ledger_path(settings), terminal.say)
    engine = Engine(settings.docker_host)
    plan: Plan | None = None
    try:
        ledger = _read(ledger_file, terminal)
        _in_time(request, ledger, terminal)
        plan = _plan(settings, request, ledger, engine)
        first = first_backup(settings, request, engine, terminal)
        result = _decided(plan, request, terminal, first)
        result = result or _executed(plan, request, terminal, first, engine)
    except RefusedError as error:
        result = Result(error.status, str(error), request, plan)
    except DeployError as error:
        result = Result("refused", without_engine(str(error)), request, plan)
    except KeyboardInterrupt:  # once it has begun to change something, Ctrl-C waits for its end
        result = Result("refused", INTERRUPTED, request, plan)
    finally:
        engine.close()
    if result.status == "done" and result.outcome:
        _condemn(ledger_file, result.outcome, terminal)
    terminal.say(f"{result.status.replace('_', ' ')}: {result.words}")
    return result


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
    if words := late(request.expires_at, seen, terminal.say):
        raise RefusedError(words, "expired")


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


def first_backup(
    settings: RecoverySettings, request: Request, engine: Engine, terminal: Terminal
) -> First:
    """The backup before it. What the monitor asks for waits for none: the service is down."""
    needed = not request.without_backup and not request.correlation_id
    session = Session("rollback", Flags(), settings, engine, terminal)
    return before(session, gather(session), "rollback", needed=needed)


def _decided(plan: Plan, request: Request, terminal: Terminal, first: First) -> Result | None:
    """A result that needs no change, or None when the plan is to be carried out."""
    with terminal.working(f"asking {plan.health_url} whether the app is well"):
        sick = healthy_now(plan.health_url, expected_body=plan.health_body)
    if plan.already:
        if sick is None:
            return Result("already", f"{plan.target.title} runs and is healthy", request, plan)
        raise RefusedError(
            f"{plan.target.title} is what runs now, and it is not well ({sick.detail}): a rollback to it cures nothing"
        )
    said = [f"note: {note}" for note in first.notes]
    said += [first.step.words] if first.step else []
    said += plan.lines()
    said += [f"reason: {request.reason}"] if request.reason else []
    for line in said:
        terminal.say(line)
    healthy = "the app answers healthy; --force rolls back all the same"
    if request.dry_run:
        why = healthy if sick is None and not request.force else first.refusal
        note = f"; done now it would be refused: {why}" if why else ""
        return Result("dry_run", f"nothing was changed{note}", request, plan)
    if sick is None and not request.force:
        raise RefusedError(healthy, "not_needed")
    if first.refusal:
        raise RefusedError(first.refusal)
    if not request.yes and not terminal.confirm("Do this?"):
        raise RefusedError("not confirmed; without a terminal, --yes says yes")
    return None


def _executed(
    plan: Plan, request: Request, terminal: Terminal, first: First, engine: Engine
) -> Result:
    _in_time(request, Ledger(), terminal)
    with uninterrupted(terminal), terminal.working("rolling back") as progress:
        if first.step:
            progress(first.step.words)
            try:
                terminal.say(first.step.act.do(Hands(plan.settings, engine, None, progress)), 3)
            except EXPECTED as error:
                raise RefusedError(f"no backup could be made first: {words_of(error)}") from error
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
