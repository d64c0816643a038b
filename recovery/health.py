"""health-check: does the deployment do its work right now? Endpoints first, then its containers."""

from __future__ import annotations

from collections.abc import Sequence

import click

from recovery.deployments import Facts, gather
from recovery.finding import Finding
from recovery.options import looks
from recovery.run import Flags, Session, look
from target.engine import Container
from target.probe import ProbeResult
from target.verify import probe_once

SLOW_SECONDS = 5.0
MANY_RESTARTS = 3
PROBE_SECONDS = 10.0
START = "sermon-recovery restart-services"
EVIDENCE = "sermon-recovery logs --errors"


@click.command("health-check", epilog="Example: sermon-recovery health-check --json | jq .outcome")
@looks
def health_check(flags: Flags) -> None:
    """Ask the application and MinIO for their health, and the Engine for their containers.

    Exit code 0: healthy; 1: not.
    """
    look("health-check", flags, lambda session: health(session, gather(session)))


def health(session: Session, facts: Facts) -> list[Finding]:
    return [*endpoints(session), *container_findings(facts)]


def endpoints(session: Session) -> list[Finding]:
    """The two health addresses, asked once each."""
    settings = session.settings
    return [
        endpoint_finding(
            "application",
            _ask(session, settings.app_url + settings.app_health_path, settings.app_health_body),
            f"{EVIDENCE}; then {START}",
        ),
        endpoint_finding(
            "MinIO",
            _ask(
                session, settings.minio_url + settings.minio_health_path, settings.minio_health_body
            ),
            "sermon-recovery check-minio",
        ),
    ]


def _ask(session: Session, url: str, expected_body: str) -> ProbeResult:
    result = probe_once(url, PROBE_SECONDS, expected_body)
    session.terminal.detail(f"GET {url}: {result.detail}, {result.duration_seconds:.3f} s")
    return result


def endpoint_finding(what: str, result: ProbeResult, mend: str) -> Finding:
    if not result.healthy:
        return Finding("problem", what, f"{result.url}: {result.detail}", mend)
    took = f"{result.duration_seconds:.2f} s"
    if result.duration_seconds > SLOW_SECONDS:
        return Finding(
            "warning", what, f"{result.url} answers well, but only after {took}",
            "sermon-recovery check-performance",
        )  # fmt: skip
    return Finding("ok", what, f"{result.url} answers well in {took}")


def container_findings(facts: Facts) -> list[Finding]:
    """What the Engine says of each container of the deployment."""
    if facts.engine_problem:
        mend = "sudo systemctl start docker; or use sudo, or join the group docker"
        return [Finding("problem", "Docker Engine", facts.engine_problem, mend)]
    if not facts.containers:
        words = "there is no container of the deployment on this machine"
        return [Finding("problem", "containers", words, "sermon-recovery emergency-restart")]
    return [*(_container(c) for c in facts.containers), *_without_container(facts)]


def _container(container: Container) -> Finding:
    what, start = (
        container.name,
        f"sermon-recovery emergency-restart, or docker start {container.name}",
    )
    restarts = container.restart_count
    if not container.running:
        code = f" with code {container.exit_code}" if container.state in ("exited", "dead") else ""
        memory = ", killed for want of memory" if container.oom_killed else ""
        return Finding("problem", what, f"{container.state}{code}{memory}", start)
    if container.health == "unhealthy":
        return Finding("problem", what, "runs, but its healthcheck says unhealthy", EVIDENCE)
    if restarts > MANY_RESTARTS:
        words = f"restarted {restarts} times; last exit code {container.exit_code}"
        return Finding("problem", what, words, f"{EVIDENCE}; sermon-recovery rollback --dry-run")
    words = f"runs{f', {container.health}' if container.health else ''}"
    if restarts:
        return Finding(
            "note", what, f"{words}; restarted {restarts} times since it was made", EVIDENCE
        )
    return Finding("ok", what, words)


def _without_container(facts: Facts) -> Sequence[Finding]:
    """A service of the files that has no container is half a deployment."""
    there = {c.service for c in facts.containers}
    services = facts.project.services.values() if facts.project else ()
    missing = [s.name for s in services if s.name not in there]
    mend = "sermon-recovery emergency-restart"
    return [Finding("problem", name, "has no container", mend) for name in missing]
