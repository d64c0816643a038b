"""Restart the application's or MinIO's containers through the Engine."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from receiver.actions import Progress
from receiver.records import Step
from receiver.settings import ReceiverSettings
from receiver.situation import History, containers_of
from target.engine import Container, Engine, EngineError


class Restart:
    """Safe to repeat after a crash: a container that started after the step began is left alone."""

    name = "restart"

    def __init__(self, settings: ReceiverSettings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._begun_here: set[int] = set()

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        self._begun_here.add(step.id)
        return "restarting", {}

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        try:
            again = step.id not in self._begun_here
            self._begun_here.discard(step.id)
            done = await asyncio.to_thread(self._restart, step, again)
        except EngineError as error:
            return Progress("failed", f"restart of {step.target} failed: {error}")
        return Progress("done", f"restarted {', '.join(done)}")

    def _restart(self, step: Step, again: bool) -> list[str]:
        names = []
        for container in containers_of(self._engine.containers(), step.target, self._settings):
            # Clocks may differ or jump, so the times are compared only where we cannot know better.
            if not (again and _started_since(container, step.started_at)):
                self._engine.restart(container.id)
            names.append(container.name)
        if not names:
            raise EngineError(f"no container of {step.target.upper()}_SERVICE exists", missing=True)
        return names


def _started_since(container: Container, moment: datetime | None) -> bool:
    return bool(
        container.running and container.started_at and moment and container.started_at > moment
    )
