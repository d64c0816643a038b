"""The rollback by this machine itself: the image is pinned, started and verified here, or put back.

Phases: local -> changing -> verifying, or changing -> putting back -> failed. What there was before is
committed with "changing", before anything is touched, so that whoever finds the step after a crash can go
on with it, or put it back. Both halves may be repeated at any point (target/deploy.py); a compose command
that outlives a crash holds the lock of the deployment until it ends.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from receiver.actions import Progress
from receiver.deciding.timing import Timing
from receiver.records import Step
from receiver.settings import ReceiverSettings
from target.deploy import Failure, change, put_back
from target.deployment import DeployError, find_deployment
from target.engine import Engine
from target.plan import Begun, Outcome, Plan, Target, plan_rollback
from target.times import parse_rfc3339, rfc3339
from target.verify import Patience
from target.versions import known_good_reference

PHASES = ("local", "changing", "putting back")
POLL = timedelta(seconds=1)
STABLE_SECONDS = (3.0, 10.0)
"""How long the new version must be well without a break, at least and at most: policy.yml's verify_for in between."""
LOOK_SECONDS = 1.0
Result = TypeVar("Result")
SaveFirst = Callable[[], str]
"""Makes a backup of the configuration before it is changed, within a bound of its own; what came of it, in words.

It never raises: what is down must not stay down because it could not be saved first.
"""


class _Job(Generic[Result]):
    """Something that blocks for minutes, in a thread of its own; the last it said of itself is ``words``."""

    def __init__(self, work: Callable[[Callable[[str], None]], Result]) -> None:
        self.words = ""
        self.done: Future[Result] = Future()
        threading.Thread(target=self._run, args=(work,), name="rollback", daemon=True).start()

    def _run(self, work: Callable[[Callable[[str], None]], Result]) -> None:
        try:
            self.done.set_result(work(self._say))
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self.done.set_exception(error)

    def _say(self, words: str) -> None:
        self.words = words


class LocalRollback:
    """The part of the rollback's machine that needs no GitHub."""

    def __init__(
        self,
        settings: ReceiverSettings,
        engine: Engine,
        timing: Timing,
        save_first: SaveFirst | None = None,
    ) -> None:
        self._save_first = save_first
        self._settings = settings
        self._engine = engine
        self._timing = timing
        self._jobs: dict[tuple[int, str], _Job[Outcome | Failure]] = {}
        self._saving: dict[int, _Job[str]] = {}
        self._planned_here: set[int] = set()
        """Steps whose change was begun by this process, so that it knows what it has not done yet."""

    def begin(self, detail: Mapping[str, Any], why: str, now: datetime) -> Progress:
        """Go on here. ``why`` says what keeps GitHub from it."""
        until = rfc3339(now + self._timing.queue_deadline)
        words = f"{why}; this machine rolls back itself"
        more = {"local_until": until, "why": why}
        return Progress("running", words, "local", now, {**detail, **more})

    async def advance(self, step: Step, now: datetime) -> Progress:
        if step.phase == "local":
            saved = self._saved(step)
            return self._waiting(step, now) if saved is None else await self._plan(step, saved, now)
        job = self._jobs.get((step.id, step.phase))
        if job is None:
            work = self._change if step.phase == "changing" else self._put_back
            job = _Job(lambda say: work(step, say))
            self._jobs[step.id, step.phase] = job
        if not job.done.done():
            again = now + min(self._timing.run_poll, POLL)
            return Progress("running", job.words or step.words, step.phase, again, step.detail)
        del self._jobs[step.id, step.phase]
        try:
            return self._came_to(step, job.done.result(), now)
        except DeployError as error:
            return self._stopped(step, error, now)

    def _saved(self, step: Step) -> str | None:
        """What came of the backup before it, in words; None while it is being made. Once, however often it is planned."""
        save = self._save_first
        if save is None:
            return ""
        if (job := self._saving.get(step.id)) is None:
            job = self._saving[step.id] = _Job(lambda _: save())
        return f"{job.done.result()}; " if job.done.done() else None

    def _waiting(self, step: Step, now: datetime) -> Progress:
        again = now + min(self._timing.run_poll, POLL)
        return Progress("running", "saving the configuration first", "local", again, step.detail)

    async def _plan(self, step: Step, saved: str, now: datetime) -> Progress:
        try:
            plan = await asyncio.to_thread(self._planned, step)
        except DeployError as error:
            return self._stopped(step, error, now)
        if plan.already:  # a run of GitHub's may have come as far as that
            return self._verifying(step, f"{plan.target.title} runs here already; verifying", now)
        self._planned_here.add(step.id)
        self._saving.pop(step.id, None)
        detail = {**step.detail, "begun": asdict(plan.before)}
        why = f"{step.detail['why']}; " if step.detail.get("why") else ""
        words = f"{why}{saved}going back to {plan.target.title} on this machine"
        return Progress("running", words, "changing", now, detail)

    def _planned(self, step: Step) -> Plan:
        """Look at the deployment as it is now; a step that has begun is resumed."""
        goal, service = step.detail["target"], step.detail["service"]
        kept = known_good_reference(service, goal["image_id"])
        references = tuple(filter(None, (goal["image_id"], kept, goal["digest"])))
        begun = step.detail.get("begun")
        return plan_rollback(
            self._settings,
            self._engine,
            find_deployment(self._settings, self._engine, service),
            Target(references, goal["title"]),
            correlation_id=step.detail["correlation_id"],
            resumed=Begun(**begun) if begun else None,
        )

    def _change(self, step: Step, say: Callable[[str], None]) -> Outcome | Failure:
        least, most = STABLE_SECONDS
        patience = Patience(
            deadline=min(180.0, self._timing.verify_deadline.total_seconds()),
            interval=LOOK_SECONDS,
            # An application that dies after a few seconds answers the first probes.
            stable=min(most, max(least, self._timing.verify_for.total_seconds())),
        )
        return change(self._planned(step), say, patience)

    def _put_back(self, step: Step, say: Callable[[str], None]) -> Outcome | Failure:
        return put_back(self._planned(step), step.detail["failure"], say)

    def _came_to(self, step: Step, found: Outcome | Failure, now: datetime) -> Progress:
        if isinstance(found, Failure):
            return self._failing(step, found.words, now)
        if found.done:
            return self._verifying(step, f"{found.words}; verifying", now)
        words = f"the rollback by this machine did not come up: {found.words}"
        service = step.detail["service"]
        again = (
            f"to go elsewhere, type: sermon-recovery rollback --service {service} --to-version TAG"
        )
        # What is broken says itself what to type.
        return failed(step, f"{words}; {again}" if found.status == "put_back" else words)

    def _failing(self, step: Step, words: str, now: datetime) -> Progress:
        detail = {**step.detail, "failure": words}
        said = f"it did not come up: {words}; putting back what was there"
        return Progress("running", said, "putting back", now, detail)

    def _verifying(self, step: Step, words: str, now: datetime) -> Progress:
        until = rfc3339(now + self._timing.verify_deadline)
        return Progress("running", words, "verifying", now, {**step.detail, "verify_until": until})

    def _stopped(self, step: Step, error: DeployError, now: datetime) -> Progress:
        """The Engine does not answer, or someone else is at work: later. Else it is at its end."""
        if error.may_return and now < parse_rfc3339(step.detail["local_until"]):
            again = now + self._timing.recheck
            return Progress("running", f"not yet: {error}", step.phase, again, step.detail)
        if step.phase == "changing" and step.id not in self._planned_here:
            # It was cut off in the middle, perhaps after the compose file was changed.
            return self._failing(step, str(error), now)
        return failed(
            step,
            f"this machine could not roll back: {error}; look at it, then type: sermon-recovery rollback --service {step.detail['service']} --dry-run",
        )


def failed(step: Step, words: str) -> Progress:
    """The end that calls a person; ``words`` say what to type."""
    return Progress(
        "failed",
        words,
        detail=step.detail,
        verdict="The rollback did not succeed: a person is needed",
        call_person=True,
    )
