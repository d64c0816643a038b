"""The deployment's containers, as the Engine tells them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from recovery.deployments import Facts, of_project
from recovery.finding import Finding
from recovery.run import Session
from target.durations import format_duration
from target.engine import Container

MANY_RESTARTS = 3
EVIDENCE = "sermon-recovery logs --errors"
START = "sermon-recovery emergency-restart"
ROLLBACK = "sermon-recovery rollback --dry-run"


def containers(_: Session, facts: Facts) -> list[Finding]:
    """Whether each is there, runs, and is content."""
    if facts.engine_problem:
        return [Finding("problem", "Docker Engine", facts.engine_problem, facts.engine_mend)]
    if not facts.containers:
        words = "there is no container of the deployment on this machine"
        mend = START if facts.project else "set COMPOSE_PROJECT_DIR and APP_CONTAINERS"
        return [Finding("problem", "containers", words, mend)]
    return [*(_container(c) for c in facts.containers), *_without_container(facts)]


def storage_containers(session: Session, facts: Facts) -> list[Finding]:
    """The same, of MinIO alone."""
    names = {c.name for c in facts.minio()} | {*facts.settings.minio_service} | {"Docker Engine"}
    found = [f for f in containers(session, facts) if f.what in names]
    if not found:
        words = (
            "none is named by MINIO_SERVICE, and the application's container is not there either"
        )
        return [Finding("problem", "MinIO's container", words, START)]
    return found


def container_details(_: Session, facts: Facts) -> Iterator[Finding]:
    """What each was made from, since when it runs, and whether the compose files say otherwise now."""
    for container in facts.containers:
        since = container.started_at if container.running else None
        age = f", up {_age(since)}" if since else ""
        words = f"{container.image} ({container.image_id[7:19]}){age}, restart: {container.restart_policy}"
        yield Finding("note", container.name, words)
        if container.restart_policy in ("no", "") and of_project(facts, container):
            mend = (
                "add restart: unless-stopped to its service, then sermon-recovery restart-services"
            )
            words = "it does not come back by itself after a crash or a reboot (restart: no)"
            yield Finding("warning", container.name, words, mend)
        if container.oom_killed:
            words = "the kernel has killed in it for want of memory"
            yield Finding("warning", container.name, words, "sermon-recovery check-resources")
        yield from _drift(facts, container)


def _drift(facts: Facts, container: Container) -> Iterator[Finding]:
    service = facts.project.services.get(container.service) if facts.project else None
    image = facts.images.get(service.image, "") if service and of_project(facts, container) else ""
    if service and image and image != container.image_id:
        words = f"runs {container.image_id[7:19]}; {service.image} is {image[7:19]} by now"
        yield Finding("note", container.name, words, "sermon-recovery restart-services takes it")


def _container(container: Container) -> Finding:
    name, start = container.name, f"{START}, or docker start {container.name}"
    if container.state == "paused":
        return Finding("problem", name, "paused", f"docker unpause {name}")
    if not container.running:
        code = f" with code {container.exit_code}" if container.state in ("exited", "dead") else ""
        memory = ", killed for want of memory" if container.oom_killed else ""
        return Finding("problem", name, f"{container.state}{code}{memory}", start)
    restarts, health = container.restart_count, container.health
    if health == "unhealthy":
        return Finding("problem", name, "runs, but its healthcheck says unhealthy", EVIDENCE)
    if restarts > MANY_RESTARTS:
        words = f"restarted {restarts} times; last exit code {container.exit_code}"
        return Finding("problem", name, words, f"{EVIDENCE}; {ROLLBACK}")
    words = f"runs{f', {health}' if health else ''}"
    if restarts:
        return Finding(
            "note", name, f"{words}; restarted {restarts} times since it was made", EVIDENCE
        )
    return Finding("ok", name, words)


def _without_container(facts: Facts) -> list[Finding]:
    """A service of the files that has no container is half a deployment."""
    there = {c.service for c in facts.containers}
    services = facts.project.services.values() if facts.project else ()
    return [
        Finding("problem", s.name, "has no container", START)
        for s in services
        if s.name not in there
    ]


def _age(since: datetime) -> str:
    return format_duration(
        timedelta(seconds=int(max(0.0, (datetime.now(UTC) - since).total_seconds())))
    )
