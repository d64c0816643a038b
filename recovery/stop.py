"""emergency-stop: the deployment stops; the Docker daemon, other containers and all data stay."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from recovery import inputs
from recovery.acts import APP_GRACE_SECONDS, MINIO_GRACE_SECONDS, Stop
from recovery.backup.first import saved_first
from recovery.deployments import Facts, gather
from recovery.expiry import late
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.steps import Hands, Plan, Step, StepError
from target.engine import COMPOSE_PROJECT, Container, EngineError
from target.lock import LockHeldError, holder
from target.members import members
from target.roles import minio_containers

AGAIN = "sermon-recovery emergency-restart"
LIVE = ("running", "restarting", "paused")
OUTLAST_SECONDS = 300.0
"""A rollback whose container was stopped puts back what was there, and ends, in much less."""
LOOK_SECONDS = 0.5


@click.command("emergency-stop", epilog="Example: sermon-recovery emergency-stop --dry-run")
@click.option(
    "--expires-at",
    callback=inputs.parse_time,
    metavar="RFC3339",
    help="Do nothing any more after this time.",
)
@changes
def emergency_stop(flags: Flags, expires_at: datetime | None) -> None:
    """Stop the application and MinIO, now. Data, logs and containers stay where they are.

    Only containers of this deployment, also those of another compose file such as
    docker-compose.prod.yml; never the Docker daemon. Works without the project's directory. A backup of
    the configuration is made first; where none can be made, it stops all the same. Where a rollback or a
    restart is at work it stops at once too, and what that one starts until it has ended.
    """

    def plan(session: Session) -> Plan:
        if words := late(expires_at, None, session.terminal.say):
            return Plan("stop the deployment", refusal=words, expired=True)
        facts = gather(session)
        return saved_first(session, facts, "stop", plan_stop(facts, _at_work(facts.lock)))

    change("emergency-stop", flags, plan)


def plan_stop(facts: Facts, at_work: str = "") -> Plan:
    """Pure: from what is there to what will be stopped, the application before its storage.

    ``at_work``: who else changes the deployment right now; empty: nobody.
    """
    if facts.engine_problem:
        return Plan(
            "stop the deployment",
            refusal=f"{facts.engine_problem}. Nothing was stopped. First: {facts.engine_mend}",
        )
    live = [c for c in reversed(facts.containers) if c.state in LIVE]
    if not live and not at_work:
        return Plan(_nothing(facts))
    minio = {c.id for c in facts.minio()}
    steps = [_stop(c, c.id in minio) for c in live]
    names = tuple(c.name for c in live)
    words = "look whether all of them have ended"
    if at_work:
        words = "until the other change has ended, stop what it starts; look whether all have ended"
    stopped = ", ".join(names) or "what the other change had started"
    return Plan(
        title=f"stop {len(live)} container{'' if len(live) == 1 else 's'} of the deployment; nothing else on this machine",
        steps=(*steps, Step(words, Stopped(names))),
        notes=tuple(_notes(facts, live, at_work)),
        done=f"stopped {stopped}. Start again: {AGAIN}",
        lock=facts.lock,
        locked_by_others=True,
        goes_on=True,
    )


def _stop(container: Container, is_minio: bool) -> Step:
    grace = MINIO_GRACE_SECONDS if is_minio else APP_GRACE_SECONDS
    return Step(
        f"stop {container.name} ({container.image}, {container.state}); it has {grace} s to end",
        Stop(container.id, container.name, grace),
        loses="nothing that is stored" if is_minio else "requests and uploads under way",
        undo=f"{AGAIN}, or docker start {container.name}",
    )


def _at_work(lock: Path | None) -> str:
    """Who holds the deployment's lock, in its own words; empty: nobody."""
    try:
        if lock:
            holder(lock)
    except LockHeldError as error:
        return str(error) or "someone who did not say who"
    return ""


def _notes(facts: Facts, live: list[Container], at_work: str) -> list[str]:
    projects = sorted({c.labels[COMPOSE_PROJECT] for c in live if COMPOSE_PROJECT in c.labels})
    notes = [f"another change of this deployment is at work: {at_work}"] if at_work else []
    if len(projects) > 1:
        notes.append(f"it is of {len(projects)} compose projects: {', '.join(projects)}")
    if facts.compose_problem:
        notes.append(
            f"{facts.compose_problem}; the containers were found by their labels and names"
        )
    notes.append("MinIO's data stay: no volume and no directory is touched")
    if always := [c.name for c in live if c.restart_policy == "always"]:
        notes.append(
            f"{', '.join(always)}: Docker starts it again when the machine boots (restart: always)"
        )
    notes.append(
        "Sermon Monitor would see an outage and restart it: open a maintenance window first "
        "(sermon-monitor maintenance start 2h --reason …), where it runs"
    )
    return notes


@dataclass(frozen=True)
class Stopped:
    """Look whether these have really ended, and stay so: a rollback that is at work starts again what was stopped."""

    names: tuple[str, ...]

    def do(self, hands: Hands) -> str:
        if hands.busy:
            _outlast(hands, hands.busy)
        still = []
        for name in self.names:
            try:
                container = hands.engine.container(name)
            except EngineError as error:
                if not error.missing:
                    raise
                continue
            if container.state in LIVE:
                still.append(f"{name} ({container.state})")
        if still:
            raise StepError(f"still there: {', '.join(still)}")
        return f"none of {len(self.names)} runs any more" if len(self.names) > 1 else ""


def _outlast(hands: Hands, lock: Path) -> None:
    """Stop what lives, again and again, until the other change has ended. Raises StepError where it does not."""
    hands.progress("waiting for the other change to end; what it starts is stopped")
    began = time.monotonic()
    while True:
        who = _at_work(lock)
        try:
            _stop_what_lives(hands)
        except EngineError:
            if not who:
                raise  # nobody else is at the containers any more: it is no question of the moment
        if not who:
            return
        if time.monotonic() - began > OUTLAST_SECONDS:
            words = (
                f"another change of this deployment is still at work ({who}) and may start it again"
            )
            raise StepError(
                f"{words}: end it by its pid, then once more: sermon-recovery emergency-stop"
            )
        time.sleep(LOOK_SECONDS)


def _stop_what_lives(hands: Hands) -> None:
    """Raises EngineError, also for what compose is just taking away."""
    here = members(hands.engine.containers(), hands.settings)
    minio = {c.id for c in minio_containers(here, hands.settings)}
    for container in here:
        if container.state in LIVE:
            grace = MINIO_GRACE_SECONDS if container.id in minio else APP_GRACE_SECONDS
            Stop(container.id, container.name, grace).do(hands)


def _nothing(facts: Facts) -> str:
    settings = facts.settings
    if facts.containers:
        return f"nothing of the deployment runs ({', '.join(f'{c.name}: {c.state}' for c in facts.containers)})"
    return (
        f"there is no container of the deployment: none was made in COMPOSE_PROJECT_DIR="
        f"{settings.compose_project_dir}, and no name matches APP_CONTAINERS={settings.app_containers}"
    )
