"""Prove that a service runs the image that was meant, and that it is well."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from target.engine import COMPOSE_PROJECT, COMPOSE_SERVICE, Container, Engine
from target.probe import ProbeResult, probe

UNHEALTHY_SHARE = 1 / 3
"""Of the whole wait. Without a ``start_period`` the Engine counts from the first failed check, so an
application that boots slowly is called unhealthy before it is well (docs.docker.com, HEALTHCHECK)."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a version to prove itself, in seconds."""

    deadline: float = 180.0
    """For everything; the app's own healthcheck may take 90 s to say its first word."""
    interval: float = 1.0
    stable: float = 10.0
    """Of probes answered 2xx and no restart, unbroken: an app that dies after a few seconds answers the first ones."""
    probe_timeout: float = 5.0
    starting: float = 100.0
    """Past it, a healthcheck that has said nothing yet no longer holds up what the probes show."""
    restarts: int = 3
    """Of the new container; as many are a crash loop."""
    unhealthy_share: float = UNHEALTHY_SHARE

    @property
    def unhealthy(self) -> float:
        """How long its healthcheck may say unhealthy, unbroken, before nothing more is hoped for."""
        return self.deadline * self.unhealthy_share


class UnhealthySince:
    """Since when each container that runs has been unhealthy without a break; a restart is one."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[int, float]] = {}

    def seconds(self, container: Container, now: float) -> float:
        """How long by now; 0 where it is not, or was only just seen to be. ``now``: of one clock that only goes on."""
        if not (container.running and container.health == "unhealthy"):
            self._since.pop(container.id, None)
            return 0.0
        restarts, since = self._since.get(container.id, (container.restart_count, now))
        if restarts != container.restart_count:
            since = now
        self._since[container.id] = (container.restart_count, since)
        return now - since


def probe_once(url: str, timeout_seconds: float = 5.0, expected_body: str = "") -> ProbeResult:
    """One probe from code that is not asyncio. Never raises for an unhealthy target."""
    return asyncio.run(probe(url, timeout_seconds, expected_body=expected_body))


def healthy_now(
    url: str, probes: int = 3, interval: float = 1.0, expected_body: str = ""
) -> ProbeResult | None:
    """None when ``probes`` in a row are answered well, else the first that was not."""
    for number in range(probes):
        if number:
            time.sleep(interval)
        result = probe_once(url, expected_body=expected_body)
        if not result.healthy:
            return result
    return None


def service_containers(engine: Engine, project: str, service: str) -> list[Container]:
    """Raises EngineError."""
    return [
        container
        for container in engine.containers()
        if container.labels.get(COMPOSE_PROJECT) == project
        and container.labels.get(COMPOSE_SERVICE) == service
    ]


def runs_image(engine: Engine, project: str, service: str, image_id: str) -> str | None:
    """None when every container of the service is of that image, else what is there in words."""
    found = service_containers(engine, project, service)
    if not found:
        return f"{service} has no container"
    for container in found:
        if container.image_id != image_id:
            return f"{container.name} runs {container.image_id[7:19]}, not {image_id[7:19]}"
    return None


def verify(
    engine: Engine,
    project: str,
    service: str,
    image_id: str,
    url: str,
    patience: Patience,
    expected_body: str = "",
) -> str | None:
    """None when it is proven, else the reason in words. Raises EngineError."""
    began = time.monotonic()
    good_since: float | None = None
    restarts, last = 0, "nothing was seen yet"
    unhealthy = UnhealthySince()
    while (now := time.monotonic()) - began < patience.deadline:
        if wrong := runs_image(engine, project, service, image_id):
            return wrong
        containers = service_containers(engine, project, service)
        for container in containers:
            lasts = unhealthy.seconds(container, now)
            if hopeless := _hopeless(container, patience, lasts):
                return hopeless
        result = probe_once(url, patience.probe_timeout, expected_body)
        restarted = sum(c.restart_count for c in containers)
        waiting = [c for c in containers if not _settled(c, now - began, patience)]
        if not result.healthy or restarted != restarts:
            good_since, restarts = None, restarted
            last = f"{url}: {result.detail}"
        elif good_since is None:
            good_since = now
        if good_since is not None and now - good_since >= patience.stable:
            if not waiting:
                return None
            state = waiting[0].health or waiting[0].state
            last = f"the healthcheck of {waiting[0].name} says {state}"
        time.sleep(patience.interval)
    return f"not well within {patience.deadline:.0f}s: {last}"


def _hopeless(container: Container, patience: Patience, unhealthy_seconds: float) -> str | None:
    """What no further waiting cures."""
    if container.state in ("exited", "dead"):  # what its healthcheck says then is no reason
        return f"{container.name} {container.state} with code {container.exit_code}"
    if container.restart_count >= patience.restarts:
        return f"{container.name} restarted {container.restart_count} times (exit code {container.exit_code})"
    if unhealthy_seconds >= patience.unhealthy:
        return (
            f"the healthcheck of {container.name} has said unhealthy for {unhealthy_seconds:.0f} s"
        )
    return None


def _settled(container: Container, elapsed: float, patience: Patience) -> bool:
    if not container.running or container.health == "unhealthy":
        return False
    return container.health in (None, "healthy") or elapsed >= patience.starting
