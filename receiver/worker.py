"""Does what is due: judges steps by their gates, runs them, and closes incidents that are over.

Every state is in the store; this loop can die at any instant and begin again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from sqlite3 import Connection

import structlog

from receiver.actions import Action, Progress
from receiver.approving import approvals
from receiver.approving.wording import waiting_words
from receiver.clock import Clock
from receiver.deciding import aftermath, gates
from receiver.deciding.closing import Closing
from receiver.deciding.situation import Lookout
from receiver.hearing.sight import Lookback
from receiver.maintenance.windows import keep_windows
from receiver.metrics import Metrics
from receiver.records import LOOKING, Approval, Ask, Ring, Step
from receiver.store import agenda, incidents, messages, steps
from receiver.store import approvals as approval_rows
from receiver.store.database import Database, StoreError
from receiver.store.history import History, read_history
from receiver.timers import Timers
from target.engine import EngineError

log = structlog.get_logger("worker")
_NEEDS_A_PERSON = ("cool-down and budget", "known-good target", "destination", "ready to be carried out")  # fmt: skip
"""A refusal by one of these, with no other step to come, means that nothing more is done by itself.

A switch that is off was meant to be.
"""
LONGEST_SLEEP = timedelta(seconds=5)
"""However far the next due work is: the clock may jump, and a wake-up may be missed."""


class Worker:
    """One loop; incidents are handled one after the other, each step of one in its order."""

    def __init__(
        self,
        database: Database,
        lookout: Lookout,
        actions: Mapping[str, Action],
        metrics: Metrics,
        clock: Clock,
        notifier: str,
        lookback: Lookback,
        timers: Timers,
    ) -> None:
        self._database = database
        self._lookout = lookout
        self._lookback = lookback
        self._actions = actions
        self._metrics = metrics
        self._clock = clock
        self._timers = timers
        self._notifier = notifier
        self._wake = asyncio.Event()
        self._stopping = False
        self.told = asyncio.Event()
        """Set whenever a message may wait to be sent."""

    def wake(self) -> None:
        """There may be new work."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the step in hand, then return from run()."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                await self._sleep_at_most(await self._round())
            except StoreError as error:
                log.error("the store cannot be used; trying again", problem=str(error))
                await self._sleep_at_most(LONGEST_SLEEP)

    async def _round(self) -> timedelta:
        """Do what is due. Returns how long there is nothing to do, as far as is known."""
        if await self._timers.keep():
            self.told.set()
        now = self._clock.now()

        def look(c: Connection) -> tuple[list[int], bool, datetime | None]:
            approvals.expire(c, now, self._lookout.settings.zone)
            keep_windows(c, self._lookout.calendar, self._notifier, now)
            # A command of another process may have left a message, too.
            told = messages.message_due(c) is not None
            return steps.due(c, now), told, agenda.next_due(c)

        due, told, upcoming = await self._database.run(look)
        if told:
            self.told.set()
        for incident_id in due:
            if self._stopping:
                return LONGEST_SLEEP
            await self._guarded(self.handle(incident_id), incident_id)
        if due:
            upcoming = await self._database.run(agenda.next_due)
        return upcoming - self._clock.now() if upcoming else LONGEST_SLEEP

    async def _sleep_at_most(self, wanted: timedelta) -> None:
        seconds = min(max(wanted, timedelta(milliseconds=20)), LONGEST_SLEEP).total_seconds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def handle(self, incident_id: int) -> None:
        """Everything of one incident that is due now."""
        now = self._clock.now()
        history = await self._database.run(lambda c: read_history(c, incident_id, now))
        if history is None:
            return
        read: History | None = history
        for step in sorted(history.steps, key=lambda one: one.turn):
            if step.state in ("pending", "running") and step.due_at <= now:
                await self._guarded(self._step(step, now, read), step)
                read = None  # what the one before did is to be seen by the next
        if history.incident.check_at and history.incident.check_at <= now:
            await self._guarded(self._check_end(incident_id), incident_id)

    async def _guarded(self, work: Awaitable[None], about: Step | int) -> None:
        """One step's fault must not keep the others waiting, least of all the call for a person."""
        try:
            await work
        except StoreError:
            raise
        except Exception as fault:  # ours; logged whole, and tried again later
            log.exception("our own fault; trying again", about=str(about)[:200])
            await self._set_aside(about, fault)

    async def _set_aside(self, about: Step | int, fault: Exception) -> None:
        now = self._clock.now()
        again = now + self._lookout.policy.timing.recheck
        words = f"{type(fault).__name__} in our own code; the log has it"

        def change(c: Connection) -> None:
            if isinstance(about, int):
                steps.defer_due(c, about, now, again)
                incidents.set_check(c, about, again)
                if words not in {event.words for event in messages.events(c, about)}:
                    messages.record(c, about, "internal fault", words, now)
                return
            steps.defer_any(c, about.id, words, again)
            if words != about.words:
                messages.record(c, about.incident_id, "internal fault", words, now)

        await self._database.run(change)

    async def _step(self, step: Step, now: datetime, history: History | None) -> None:
        if history is None:
            history = await self._database.run(lambda c: read_history(c, step.incident_id, now))
        step = next((s for s in history.steps if s.id == step.id), step) if history else step
        if history is None or step.due_at > now:  # the one before may have put it off
            return
        if step.state == "running":
            await self._advance(step, history)
            return
        if step.action in LOOKING:  # it has no gates
            await self._begin(step, history, None)
            return
        facts, verdict = await self._lookout.judge(step, history, now)
        if verdict.outcome == "pass":
            await self._begin(step, history, facts)
        elif verdict.gate == "approved" and (ask := gates.to_be_asked(facts)):
            await self._ask(step, ask)
        else:
            await self._held(step, verdict)

    async def _ask(self, step: Step, ask: Ask) -> None:
        """Everything else lets the step pass: a person is asked, and the question stands on the card."""
        now = self._clock.now()

        def change(c: Connection) -> None:
            if asked := self._put(c, step, ask, now):
                again = now + self._lookout.policy.timing.recheck
                words = waiting_words(asked, self._lookout.settings.zone)
                steps.defer_step(c, step.id, words, again)

        await self._database.run(change)
        self._metrics.refusals.labels("approved").inc()
        self.told.set()

    def _put(self, c: Connection, step: Step, ask: Ask, now: datetime) -> Approval | None:
        ttl = self._lookout.settings.approval_ttl
        return approvals.put(c, step, ask, ttl, self._notifier, now)

    async def _held(self, step: Step, verdict: gates.Verdict) -> None:
        """A gate said no, not yet, or not any more: its reason is stored and shown."""
        now = self._clock.now()
        news = verdict.reason != step.words
        again = now + self._lookout.policy.timing.recheck

        def change(c: Connection) -> None:
            if verdict.outcome == "wait":
                steps.defer_step(c, step.id, verdict.reason, again)
            else:
                state = "refused" if verdict.outcome == "refuse" else "dropped"
                steps.end_step(c, step.id, state, verdict.reason, now)
                left = steps.waiting(c, step.incident_id) - {"person"} - LOOKING
                if state == "refused" and verdict.gate in _NEEDS_A_PERSON and not left:
                    steps.hasten_person(c, step.incident_id, now)
            if news:
                told = f"{verdict.gate}: {verdict.reason}"
                messages.record(c, step.incident_id, f"{step.action} {verdict.outcome}", told, now)

        await self._database.run(change)
        if news:
            self._metrics.refusals.labels(verdict.gate).inc()
            log.info(
                "a gate held a step",
                incident=step.incident_id,
                action=step.action,
                gate=verdict.gate,
                outcome=verdict.outcome,
                reason=verdict.reason,
            )
            self.told.set()

    async def _begin(self, step: Step, history: History, facts: gates.Facts | None) -> None:
        if self._stopping:
            return  # still pending, and judged anew after the next start
        action = self._actions[step.action]
        ask = gates.question(facts) if facts else None
        now = self._clock.now()
        try:
            phase, detail = await action.prepare(step, history, now)
        except EngineError as error:
            await self._held(step, gates.Verdict("destination", "wait", str(error)))
            return

        def claim(c: Connection) -> Step | None:
            if ask and not approval_rows.use(c, step.id, ask.subject, now):
                return None  # it has just expired: judged anew
            if not steps.claim_step(c, step.id, phase, detail, now):
                raise LookupError(f"step {step.id} is not pending any more")  # undoes the use
            approval_rows.overtake(c, step.id, "it needs no approval any more")
            messages.record(
                c,
                step.incident_id,
                f"{step.action} begins",
                f"asked for by {step.alert or 'the incident'}",
                now,
            )
            return steps.step(c, step.id)

        claimed = await self._database.run(claim)
        if claimed is not None:
            log.info(
                "step begins",
                incident=step.incident_id,
                action=step.action,
                target=step.target,
                phase=phase,
            )
            self.told.set()
            await self._advance(claimed, history)

    async def _advance(self, step: Step, history: History) -> None:
        """Run phases until one must wait."""
        while True:
            progress = await self._actions[step.action].advance(step, history, self._clock.now())
            following = await self._remember(step, progress)
            # What is cleared for the send is sent: nobody could tell later that it was not.
            if following is None or (self._stopping and following.phase != "dispatching"):
                return
            step = following

    async def _remember(self, step: Step, progress: Progress) -> Step | None:
        """Commit what came of an advance. Returns the step when its next advance is due at once."""
        now = self._clock.now()
        due_at = progress.due_at or now

        def change(c: Connection) -> Step | None:
            if progress.uses is not None and not approval_rows.use(c, step.id, progress.uses, now):
                again = now + self._lookout.policy.timing.recheck
                steps.defer_any(c, step.id, "its approval does not hold any more", again)
                return None
            if progress.ask is not None:
                self._put(c, step, progress.ask, now)
            if progress.state == "running":
                steps.move_step(c, step.id, progress.phase, progress.words, due_at, progress.detail)
            else:
                if progress.detail:
                    steps.move_step(c, step.id, step.phase, progress.words, now, progress.detail)
                steps.end_step(c, step.id, progress.state, progress.words, now)
                aftermath.after(c, step, self._lookout.policy, self._lookout.settings, now)
            if progress.verdict:
                incidents.set_verdict(c, step.incident_id, progress.verdict)
            if progress.evidence:
                messages.keep_evidence(c, step, progress.evidence, now)
            if progress.call_person:
                self._call(c, step, now)
            if (progress.words, progress.state) != (step.words, step.state):
                kind = f"{step.action} {progress.state}"
                messages.record(c, step.incident_id, kind, progress.words, now)
            return steps.step(c, step.id)

        after = await self._database.run(change)
        self.told.set()
        if after is None:
            return None
        if progress.state != "running":
            self._metrics.actions.labels(step.action, progress.state).inc()
            log.info(
                "step ended",
                incident=step.incident_id,
                action=step.action,
                outcome=progress.state,
                words=progress.words,
            )
            return None
        return after if due_at <= now else None

    def _call(self, c: Connection, step: Step, now: datetime) -> None:
        if step.action == "person":
            messages.add_call(c, step.incident_id, self._notifier, Ring.MENTION, now)
        else:
            steps.hasten_person(c, step.incident_id, now)
            self._wake.set()

    async def _check_end(self, incident_id: int) -> None:
        """Nothing that asks for steps fires any more: is it over, and does our own look agree?"""
        now = self._clock.now()
        history = await self._database.run(lambda c: read_history(c, incident_id, now))
        if history is None or history.incident.state != "open":
            return
        seen = await self._lookout.look_at_end(history)
        sight = await self._lookback.sight(history)
        recheck = self._lookout.policy.timing.recheck
        closing = Closing(self._lookout, seen, sight, now, now + recheck)
        kind = await self._database.run(lambda c: closing.apply(c, history))
        log.info("end of the alerts", incident=incident_id, outcome=kind, look=seen.words)
        self.told.set()
