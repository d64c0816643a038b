"""Stop the application on a person's word: the containers that were approved, and nothing else.

Done through the Engine at hand, which needs no runner. MinIO, all data, images, the containers
themselves, the Docker daemon, other people's containers and our own stay. Safe to repeat after a
crash: what has stopped is left alone, and what a person has started long since is not stopped again.

Where no Engine answered when it was asked for, a person may have allowed GitHub's workflow to do it,
which stops MinIO too: dispatched once, followed, and believed only when the application has ceased to answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, tzinfo
from typing import Any

from receiver.actions import Progress
from receiver.actions.workflow_run import Instead, WorkflowRun, request
from receiver.approving.approvals import HOLDS, latest
from receiver.deciding.timing import Timing
from receiver.emergency import ACTION, BY_GITHUB, LIVE, START_AGAIN
from receiver.github.client import GitHub
from receiver.records import Step
from receiver.store.history import History
from receiver.verify import Confirmer
from target.engine import Container, Engine, EngineError
from target.times import parse_rfc3339

BY_HAND = "on the host, type: sermon-recovery emergency-stop"
_NO_GITHUB = "GITHUB_TOKEN and GITHUB_REPO are not set any more"
GRACE_SECONDS = 10
"""How long each has to end by itself."""


class EmergencyStop:
    """Phase: stopping, tried anew while the Engine does not answer, for as long as a yes holds; or those
    of workflow_run.py."""

    name = ACTION

    def __init__(
        self,
        engine: Engine,
        timing: Timing,
        confirmer: Confirmer,
        github: GitHub | None,
        zone: tzinfo = UTC,
    ) -> None:
        self._engine = engine
        self._timing = timing
        self._confirmer = confirmer
        self._run = (
            WorkflowRun(github, timing, other_way=False, failed=_failed, by_hand=BY_HAND, zone=zone)
            if github
            else None
        )

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        """Exactly what a person has approved."""
        approved = latest(history.approvals, step)
        if approved is None:
            return "stopping", {"containers": [], "names": "nothing: nothing was approved"}
        if approved.subject == BY_GITHUB:
            return self._elsewhere(step, history, now, approved.who)
        return "stopping", {"containers": approved.subject.split(), "names": approved.target}

    def _elsewhere(
        self, step: Step, history: History, now: datetime, who: str
    ) -> tuple[str, dict[str, Any]]:
        """Raises EngineError where GitHub is not set up any more."""
        if self._run is None:
            raise EngineError(_NO_GITHUB)
        until = now + self._timing.queue_deadline
        detail = request(step, history, "emergency_stop", until, by=who)
        return self._run.first_phase(step), detail

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        if step.phase == "verifying":
            return await self._verify(step, now)
        if step.phase != "stopping":
            return await self._follow(step, now)
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
        return _failed(step, f"the emergency stop did not succeed in time: {words}; {BY_HAND}")

    async def _follow(self, step: Step, now: datetime) -> Progress:
        if self._run is None:
            return _failed(
                step, f"{_NO_GITHUB}: whether a run is at work cannot be told; {BY_HAND}"
            )
        found = await self._run.advance(step, now)
        return _failed(step, f"{found.why}; {BY_HAND}") if isinstance(found, Instead) else found

    async def _verify(self, step: Step, now: datetime) -> Progress:
        """The run has succeeded: the application must have ceased to answer."""
        seen = await self._confirmer.look("probe")
        run = f"run {step.detail['run_id']} has stopped the deployment"
        if seen.sick:
            words = f"{run}; all data stay; {START_AGAIN}; {seen.words}"
            verdict = f"Stopped on purpose; {START_AGAIN}"
            return Progress("done", words, detail=step.detail, verdict=verdict)
        if now >= parse_rfc3339(step.detail["verify_until"]):
            words = f"{run} by its own word, but the application answers: {seen.words}; {BY_HAND}"
            return _failed(step, words)
        again, words = now + self._timing.run_poll, f"not stopped yet: {seen.words}"
        return Progress("running", words, "verifying", again, step.detail)

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


def _failed(step: Step, words: str) -> Progress:
    """The end that calls a person; ``words`` say what to type."""
    return Progress("failed", words, detail=step.detail, call_person=True)
