"""Stop the application on a person's word: the containers that were approved, and nothing else.

Done through the Engine at hand, which needs no runner. MinIO, all data, images, the containers
themselves, the Docker daemon, other people's containers and our own stay. Safe to repeat after a
crash: what has stopped is left alone, and what a person has started long since is not stopped again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Any

from receiver.actions import Progress
from receiver.approving.approvals import HOLDS, latest
from receiver.deciding.timing import Timing
from receiver.emergency import ACTION, LIVE, START_AGAIN
from receiver.records import Step
from receiver.store.history import History
from target.engine import Container, Engine, EngineError

GRACE_SECONDS = 10
"""How long each has to end by itself."""


class EmergencyStop:
    """Phase: stopping, tried anew while the Engine does not answer, for as long as a yes holds."""

    name = ACTION

    def __init__(self, engine: Engine, timing: Timing) -> None:
        self._engine = engine
        self._timing = timing

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        """Exactly what a person has approved."""
        approved = latest(history.approvals, step)
        if approved is None:
            return "stopping", {"containers": [], "names": "nothing: nothing was approved"}
        return "stopping", {"containers": approved.subject.split(), "names": approved.target}

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        late = now >= (step.started_at or now) + HOLDS
        try:
            left = await asyncio.to_thread(self._stop, step.detail["containers"], act=not late)
        except EngineError as error:
            return self._again(step, str(error), now, late=late)
        if left:
            names = ", ".join(one.name for one in left)
            return self._again(step, f"still running: {names}", now, late=late)
        return Progress(
            "done",
            f"stopped {step.detail['names']}; MinIO and all data stay; {START_AGAIN}",
            detail=step.detail,
            verdict=f"Stopped on purpose; {START_AGAIN}",
        )

    def _again(self, step: Step, words: str, now: datetime, *, late: bool) -> Progress:
        if not late:
            again = now + self._timing.recheck
            return Progress("running", f"not stopped yet: {words}", "stopping", again, step.detail)
        return Progress(
            "failed",
            f"the emergency stop did not succeed in time: {words}; on the host, type: sermon-recovery emergency-stop",
            detail=step.detail,
            call_person=True,
        )

    def _stop(self, approved: Collection[str], *, act: bool) -> list[Container]:
        """Those that live on. Raises EngineError where the Engine does not answer."""
        for one in self._live(approved) if act else ():
            try:
                self._engine.stop(one.id, GRACE_SECONDS)
            except EngineError as error:
                if not error.missing:
                    raise
        return self._live(approved)

    def _live(self, approved: Collection[str]) -> list[Container]:
        found = {one.id: one for one in self._engine.containers() if one.state in LIVE}
        return [found[key] for key in approved if key in found]
