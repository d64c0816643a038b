"""Restart the application's or MinIO's containers through the Engine, at most once.

Phases: restarting; and settling where it was found in that phase after a crash, so that nobody knows
whether the Engine took it. Such a restart is waited for as long as one may take, and only then made
again. Whether a container was restarted is told by when it last started, as the Engine said before and
says after; no clock is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from receiver.actions import Progress
from receiver.deciding.situation import containers_of
from receiver.records import Step
from receiver.settings import ReceiverSettings
from receiver.store.history import History
from target.engine import Container, Engine, EngineError
from target.times import parse_rfc3339

STOP_SECONDS = 10
SETTLE = timedelta(seconds=STOP_SECONDS + 20)
"""How long a restart may take that the Engine took just before we were interrupted."""
LOOK_EVERY = timedelta(seconds=1)


class Restart:
    """Safe to repeat after a crash at any instant."""

    name = "restart"

    def __init__(self, settings: ReceiverSettings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._cleared: set[int] = set()
        """Steps whose phase ``restarting`` this process has committed and not yet used."""

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        """Raises EngineError."""
        found = await asyncio.to_thread(self._containers, step)
        self._cleared.add(step.id)
        return "restarting", {"before": {one.id: _start(one) for one in found}}

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        try:
            if step.phase == "settling":
                return await self._settle(step, now)
            if step.id not in self._cleared:
                until = (now + SETTLE).astimezone(UTC).isoformat()
                words = "we were interrupted at the restart; looking whether it was made"
                detail = {**step.detail, "settle_until": until}
                return Progress("running", words, "settling", now, detail)
            self._cleared.discard(step.id)
            return await self._restart(step)
        except EngineError as error:
            return Progress("failed", f"restart of {step.target} failed: {error}")

    async def _restart(self, step: Step) -> Progress:
        """Those that have not been restarted yet. Raises EngineError."""
        found = await asyncio.to_thread(self._containers, step)
        for container in found:
            if not _restarted(container, step.detail):
                await self._one(container, step.detail)
        return _done(found)

    async def _one(self, container: Container, detail: Mapping[str, Any]) -> None:
        """Raises EngineError, but not where only its answer was lost."""
        try:
            await asyncio.to_thread(self._engine.restart, container.id, STOP_SECONDS)
        except EngineError:
            after = await asyncio.to_thread(self._engine.container, container.id)
            if not _restarted(after, detail):
                raise

    async def _settle(self, step: Step, now: datetime) -> Progress:
        """Raises EngineError once it has had its time."""
        over = now >= parse_rfc3339(step.detail["settle_until"])
        again = now + LOOK_EVERY
        try:
            found = await asyncio.to_thread(self._containers, step)
        except EngineError as error:
            if over:
                raise
            return Progress("running", str(error), "settling", again, step.detail)
        if all(_restarted(one, step.detail) for one in found):
            return _done(found)
        if not over:
            return Progress("running", step.words, "settling", again, step.detail)
        self._cleared.add(step.id)
        words = "the restart had not reached the Engine; restarting"
        return Progress("running", words, "restarting", now, step.detail)

    def _containers(self, step: Step) -> list[Container]:
        found = containers_of(self._engine.containers(), step.target, self._settings)
        if not found:
            raise EngineError(f"no container of {step.target.upper()}_SERVICE exists", missing=True)
        return found


def _start(container: Container) -> str:
    return container.started_at.isoformat() if container.started_at else ""


def _restarted(container: Container, detail: Mapping[str, Any]) -> bool:
    """It was last started at another moment than before, whatever became of it then; one that was not there is new."""
    before: Mapping[str, str] = detail.get("before", {})
    return before.get(container.id) != _start(container)


def _done(containers: list[Container]) -> Progress:
    return Progress("done", f"restarted {', '.join(one.name for one in containers)}")
