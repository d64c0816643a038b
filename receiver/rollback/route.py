"""By which way a rollback is carried out: by GitHub's workflow, or by this machine where GitHub cannot do it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from receiver.approving import questions
from receiver.deciding.policy import LocalFallback
from receiver.github.client import GitHub
from receiver.github.preflight import Preflight
from receiver.records import Ask
from receiver.rollback.way_back import RollbackTarget
from receiver.settings import ReceiverSettings
from target.deployment import DeployError, find_deployment
from target.engine import Container, Engine

BY_HAND = "on the host, type: sermon-recovery rollback"
FRESH_SECONDS = 60.0
"""How long a look at our own way counts: it asks compose what its files mean, which costs a Pi a second."""


@dataclass(frozen=True)
class Route:
    """By which way, and may it be taken now."""

    way: Literal["github", "local"]
    outcome: Literal["pass", "wait", "refuse"]
    words: str


class Hindrance(NamedTuple):
    """Why this machine cannot change the deployment, in words; empty where it can."""

    words: str = ""
    may_return: bool = False
    """The Engine does not answer right now: then it is not known."""


class Router:
    """Looks; changes nothing. ``mode`` is policy.yml's local_fallback."""

    def __init__(
        self,
        settings: ReceiverSettings,
        mode: LocalFallback,
        engine: Engine,
        github: GitHub | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.mode = mode
        self.preflight = (
            Preflight(
                github, settings.deploy_workflows, settings.github_token_expires, settings.zone
            )
            if github
            else None
        )
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._seen: dict[str, tuple[float, Hindrance]] = {}

    async def route(self, found: RollbackTarget, now: datetime, of: str = "app") -> Route:
        """By which way a rollback of a step's target to ``found`` would be carried out now."""
        outcome: Literal["pass", "wait", "refuse"] = "refuse"
        words = "GITHUB_TOKEN and GITHUB_REPO are not set"
        if of != "app":
            words = "GitHub's workflow rolls back the application alone"
        elif self.preflight is not None:
            outcome, words = (await self.preflight.look(now)).gate()
        if outcome != "refuse":
            return Route("github", outcome, words)
        if self.mode == "never" or found.running is None:
            return Route("github", "refuse", f"{words}; {by_hand(found.running, of)}")
        image_id = found.release.image_id if found.release else ""
        hindrance = await self.hindrance(found.running.service, image_id)
        if hindrance.may_return:
            words = f"{words}; whether this machine can do it is not known: {hindrance.words}"
            return Route("local", "wait", words)
        if hindrance.words:
            words = f"{words}; nor can this machine do it: {hindrance.words}; {by_hand(found.running, of)}"
            return Route("github", "refuse", words)
        return Route("local", "pass", f"{words}; this machine can roll back itself")

    async def hindrance(self, service: str, image_id: str) -> Hindrance:
        """What keeps this machine from bringing a compose service back to that image."""
        if not image_id:
            return Hindrance("only the commit to go back to is known, not its image")
        seen = self._seen.get(service)
        if seen is None or self._clock() - seen[0] > FRESH_SECONDS:
            found = await asyncio.to_thread(hindrance, self._settings, self._engine, service)
            if found.may_return:
                return found
            seen = self._seen[service] = self._clock(), found
        return seen[1]

    async def obstacle(self) -> Hindrance:
        """The same of the application's service, as it is found by APP_SERVICE."""
        return await asyncio.to_thread(hindrance, self._settings, self._engine)

    def question(self, running: Container | None, why: str, of: str = "app") -> Ask:
        """What a person is asked before this machine rolls back itself; its target is still to be named."""
        asked = questions.rollback([running] if running else [])
        if running is not None and of == "minio":
            blast = f"{running.name} is stopped and started with its other image: one to three minutes without storage. Its data stay as they are."
            asked = replace(asked, blast=blast)
        return replace(asked, action="local_rollback", why=why, rings=True)


def by_hand(running: Container | None, of: str = "app") -> str:
    """What a person types instead."""
    return BY_HAND if running is None or of == "app" else f"{BY_HAND} --service {running.service}"


def hindrance(settings: ReceiverSettings, engine: Engine, service: str | None = None) -> Hindrance:
    """What keeps this machine from it: no project, no compose, no right to write. Blocks for a second or two."""
    if settings.machine == "elsewhere":
        return Hindrance("its files are on another machine (MACHINE=elsewhere)")
    try:
        deployment = find_deployment(settings, engine, service)
    except DeployError as error:
        return Hindrance(str(error), error.may_return)
    for path in (deployment.file.parent, deployment.file):
        if not os.access(path, os.W_OK):
            return Hindrance(f"{path} may not be written by this user")
    return Hindrance()
