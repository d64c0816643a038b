"""emergency-stop: the deployment stops; the Docker daemon, other containers and all data stay."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from recovery import inputs
from recovery.acts import APP_GRACE_SECONDS, MINIO_GRACE_SECONDS, Stop, Stopped
from recovery.backup.first import saved_first
from recovery.deployments import Facts, gather
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.steps import Plan, Step
from target.engine import COMPOSE_PROJECT, Container

AGAIN = "sermon-recovery emergency-restart"
LIVE = ("running", "restarting", "paused")


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
    the configuration is made first; where none can be made, it stops all the same.
    """

    def plan(session: Session) -> Plan:
        if late := inputs.too_late(expires_at, datetime.now(UTC), None):
            return Plan("stop the deployment", refusal=late)
        facts = gather(session)
        return saved_first(session, facts, "stop", plan_stop(facts))

    change("emergency-stop", flags, plan)


def plan_stop(facts: Facts) -> Plan:
    """Pure: from what is there to what will be stopped, the application before its storage."""
    if facts.engine_problem:
        return Plan(
            "stop the deployment",
            refusal=f"{facts.engine_problem}. Nothing was stopped. First: {facts.engine_mend}",
        )
    live = [c for c in reversed(facts.containers) if c.state in LIVE]
    if not live:
        return Plan(_nothing(facts))
    minio = {c.id for c in facts.minio()}
    steps = [_stop(c, c.id in minio) for c in live]
    names = tuple(c.name for c in live)
    look = Step("look whether all of them have ended", Stopped(names))
    return Plan(
        title=f"stop {len(live)} container{'s' if len(live) > 1 else ''} of the deployment; nothing else on this machine",
        steps=(*steps, look),
        notes=tuple(_notes(facts, live)),
        done=f"stopped {', '.join(names)}. Start again: {AGAIN}",
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


def _notes(facts: Facts, live: list[Container]) -> list[str]:
    projects = sorted({c.labels[COMPOSE_PROJECT] for c in live if COMPOSE_PROJECT in c.labels})
    notes = []
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


def _nothing(facts: Facts) -> str:
    settings = facts.settings
    if facts.containers:
        return f"nothing of the deployment runs ({', '.join(f'{c.name}: {c.state}' for c in facts.containers)})"
    return (
        f"there is no container of the deployment: none was made in COMPOSE_PROJECT_DIR="
        f"{settings.compose_project_dir}, and no name matches APP_CONTAINERS={settings.app_containers}"
    )
