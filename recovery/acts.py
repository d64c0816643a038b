"""What steps do to containers and services. Each act is a value that a test can compare."""

from __future__ import annotations

import time
from dataclasses import dataclass

from recovery.steps import Hands, StepError
from target.engine import Container, EngineError
from target.verify import UNHEALTHY_SHARE, UnhealthySince, probe_once

APP_GRACE_SECONDS = 10
MINIO_GRACE_SECONDS = 30
"""MinIO finishes what it writes."""
WELL_SECONDS = 180.0
STEADY_SECONDS = 5.0
INTERVAL_SECONDS = 0.5
STARTING_SECONDS = 100.0
"""Past it a healthcheck that has said nothing yet holds nothing up."""
MOST_RESTARTS = 3
UNHEALTHY = "its healthcheck says unhealthy"


@dataclass(frozen=True)
class Stop:
    """Stop one container; its data, its log and the container itself stay."""

    container_id: str
    name: str
    grace_seconds: int

    def do(self, hands: Hands) -> str:
        try:
            hands.engine.stop(self.container_id, self.grace_seconds)
        except EngineError as error:
            if error.missing:
                return f"{self.name} is gone already"
            raise
        return ""


@dataclass(frozen=True)
class Start:
    """Start a container that is there."""

    container_id: str
    name: str

    def do(self, hands: Hands) -> str:
        hands.engine.start(self.container_id)
        return ""


@dataclass(frozen=True)
class Unpause:
    """Let a frozen container go on."""

    container_id: str

    def do(self, hands: Hands) -> str:
        hands.engine.unpause(self.container_id)
        return ""


@dataclass(frozen=True)
class Up:
    """Make one service run as the compose files say, from local images."""

    service: str

    def do(self, hands: Hands) -> str:
        if hands.compose is None:
            raise StepError("the compose files cannot be used any more")
        hands.compose.up(self.service)
        return ""


@dataclass(frozen=True)
class Well:
    """Wait until a container runs, its healthcheck is content and its addresses answer well."""

    name: str
    urls: tuple[str, ...] = ()
    seconds: float = WELL_SECONDS
    """For everything. It may be unhealthy for UNHEALTHY_SHARE of them: it boots slowly, or was paused and has not
    been checked since."""

    def do(self, hands: Hands) -> str:
        began = time.monotonic()
        steady_since: float | None = None
        first = last_restarts = -1
        why = "it was not seen yet"
        unhealthy = UnhealthySince()
        while (now := time.monotonic()) - began < self.seconds:
            container, unseen = self._container(hands)
            if container is None:
                steady_since, why = None, unseen
            else:
                restarts = container.restart_count
                first = restarts if first < 0 else first
                sick = self._sick(unhealthy.seconds(container, now))
                if hopeless := _hopeless(container, restarts - first) or sick:
                    raise StepError(f"{self.name}: {hopeless}")
                why = _not_yet(container, now - began) or self._answers(hands)
                changed, last_restarts = restarts != last_restarts, restarts
                if why or changed:
                    steady_since = None if why else now
                elif steady_since is not None and now - steady_since >= STEADY_SECONDS:
                    return f"{self.name} is well"
                elif steady_since is None:
                    steady_since = now
            time.sleep(INTERVAL_SECONDS)
        raise StepError(f"{self.name} is not well after {self.seconds:.0f}s: {why or 'not steady'}")

    def _container(self, hands: Hands) -> tuple[Container | None, str]:
        """Or why it is not seen; an Engine that is slow on a busy machine is asked again."""
        try:
            return hands.engine.container(self.name), ""
        except EngineError as error:
            return None, "there is no such container" if error.missing else str(error)

    def _sick(self, unhealthy_seconds: float) -> str:
        if unhealthy_seconds < self.seconds * UNHEALTHY_SHARE:
            return ""
        return f"its healthcheck has said unhealthy for {unhealthy_seconds:.0f} s"

    def _answers(self, hands: Hands) -> str:
        for url in self.urls:
            result = probe_once(url, 5.0, expected_body(hands, url))
            if not result.healthy:
                return f"{url}: {result.detail}"
        return ""


def expected_body(hands: Hands, url: str) -> str:
    """What the answer of one of our two health addresses must hold."""
    settings = hands.settings
    if url == settings.minio_url + settings.minio_health_path:
        return settings.minio_health_body
    return settings.app_health_body


def _hopeless(container: Container, restarts: int) -> str:
    """What no further waiting cures; empty: nothing."""
    if container.state in ("exited", "dead"):  # what its healthcheck said last stays there
        memory = ", killed for want of memory" if container.oom_killed else ""
        return f"it {container.state} with code {container.exit_code}{memory}"
    if container.state == "created":
        return "it was never started"
    if restarts >= MOST_RESTARTS:
        return f"it restarted {restarts} times (exit code {container.exit_code})"
    return ""


def _not_yet(container: Container, elapsed: float) -> str:
    if container.state != "running":
        return f"it is {container.state}"
    if container.health == "starting" and elapsed < STARTING_SECONDS:
        return "its healthcheck has not said yet how it is"
    return UNHEALTHY if container.health == "unhealthy" else ""
