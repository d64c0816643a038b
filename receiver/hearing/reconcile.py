"""After a start or a gap: what Alertmanager lists is compared with what fires here.

What is active and unknown is opened, what is not listed any more has ended; both go through the same
intake as a webhook.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Literal

import structlog

from receiver.clock import Clock
from receiver.hearing import listing, prometheus
from receiver.hearing.alertmanager import Alert
from receiver.hearing.intake import Intake, accept
from receiver.hearing.listing import Listing, ListingError, Plan
from receiver.hearing.sorting import ALL, Share
from receiver.hearing.watchdog import webhook_of
from receiver.http import Http
from receiver.metrics import Metrics
from receiver.settings import ReceiverSettings
from receiver.store import heartbeats
from receiver.store.database import Database, StoreError
from receiver.store.heartbeats import OpenAlert, Standing
from receiver.telling.delivery import DeliveryError

log = structlog.get_logger("reconcile")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two tries, doubled from the first to the longest."""
FOLLOW_FOR = timedelta(minutes=10)
"""What only the list has told of may end before Alertmanager first tells of it by a webhook; then no
webhook tells its end. So after something was opened the list is looked at again for this long, which
is twice the shipped group_interval."""

Outcome = Literal["done", "early", "unreachable", "invalid", "unavailable"]


@dataclass(frozen=True)
class Result:
    """``early``: something of ours is not listed, but Alertmanager may not know all yet."""

    outcome: Outcome
    words: str
    opened: int = 0


_NOTHING = Result("done", "0 opened, 0 ended")


class Reconciler:
    """Compares when it is asked to; tries again, at a bounded pace, until the answer is whole."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        settings: ReceiverSettings,
        metrics: Metrics,
        clock: Clock,
        http: Http,
        wake: Callable[[], None],
        share: Share = ALL,
    ) -> None:
        """``share``: what of Alertmanager's list is about us."""
        self._database = database
        self._intake = intake
        self._url = settings.alertmanager_url
        self._settle = settings.watchdog_timeout / 2
        self._metrics = metrics
        self._clock = clock
        self._http = http
        self._wake = wake
        self._share = share
        self._asked = asyncio.Event()
        self._why = ""
        self._said_why = ""
        self.hidden_by: Callable[[], Collection[str]] = frozenset
        """Ids of silences of ours: what they hide fires for us all the same."""

    def ask(self, why: str) -> None:
        """Something may have been missed."""
        self._why = why
        self._asked.set()

    async def run(self) -> None:
        while True:
            await self._asked.wait()
            if self._url is None:
                self._asked.clear()
                continue
            note = log.info if self._why != self._said_why else log.debug
            note("asking Alertmanager what was missed", reason=self._why)
            self._said_why = self._why
            await self._until_done(self._url)

    async def _until_done(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        said, pause, follow_until = "", FIRST_PAUSE, 0.0
        while True:
            self._asked.clear()
            result = await self._guarded(url)
            if result.words != said:
                note = log.info if result.outcome in ("done", "early") else log.warning
                if result == _NOTHING:
                    note = log.debug
                note("compared with Alertmanager", outcome=result.outcome, words=result.words)
                said = result.words
            if result.opened:
                follow_until = loop.time() + FOLLOW_FOR.total_seconds()
            if result.outcome == "done" and loop.time() >= follow_until:
                return
            with contextlib.suppress(TimeoutError):  # a new gap: at once, but never in a rush
                async with asyncio.timeout(pause):
                    await asyncio.sleep(FIRST_PAUSE)
                    await self._asked.wait()
            pause = FIRST_PAUSE if self._asked.is_set() else min(LONGEST_PAUSE, pause * 2)

    async def _guarded(self, url: str) -> Result:
        try:
            result = await self.once(url)
        except Exception as fault:  # a fault of ours here must not stop what else the receiver does
            log.exception("our own fault; asking again later")
            result = Result("invalid", f"{type(fault).__name__} in our own code; the log has it")
        self._metrics.reconciliations.labels(result.outcome).inc()
        return result

    async def once(self, url: str) -> Result:
        """One comparison; nothing is changed unless the whole answer is understood."""
        try:
            before = await self._database.run(heartbeats.standing)
            source, listed = await self._ask(url)
            now = self._clock.now()
            may_end = listing.settled(source, listed, now, self._settle)
            plan = await self._database.run(
                lambda c: self._change(c, before, listed, may_end=may_end)
            )
        except StoreError as error:
            return Result("unavailable", str(error))
        except DeliveryError as error:
            outcome: Outcome = "invalid" if error.permanent else "unreachable"
            return Result(outcome, f"Alertmanager could not be asked: {error.words}")
        except ListingError as error:
            return Result("invalid", str(error))
        if plan.opened or plan.ended:
            self._wake()
        return _result(plan)

    async def _ask(self, url: str) -> tuple[listing.Source, Listing]:
        status = await prometheus.alertmanager_status(self._http, url)
        groups = await prometheus.alert_groups(self._http, url)
        # Both may be large: parsed beside the event loop.
        source = await asyncio.to_thread(listing.parse_status, status)
        heartbeat = self._intake.policy.heartbeat
        return source, await asyncio.to_thread(
            listing.parse_groups, groups, source.hooks, heartbeat, self.hidden_by(), self._share
        )

    def _change(self, c: Connection, before: Standing, listed: Listing, *, may_end: bool) -> Plan:
        after, now = heartbeats.standing(c), self._clock.now()
        plan = listing.compare(
            listed,
            {key: one.id for key, one in before.firing.items()},
            {key: one.id for key, one in after.firing.items()},
            heartbeats.since(c, before.newest),
            settled=may_end,
        )
        alerts = [listed.active[key] for key in plan.opened]
        alerts += [_over(after.firing[key], now) for key in plan.ended]
        if alerts:
            accept(c, self._intake, webhook_of(*alerts), now)
        return plan


def _over(alert: OpenAlert, now: datetime) -> Alert:
    return Alert.model_construct(
        status="resolved",
        labels=json.loads(alert.labels),
        starts_at=now,
        fingerprint=alert.fingerprint,
    )


def _result(plan: Plan) -> Result:
    words = f"{len(plan.opened)} opened, {len(plan.ended)} ended"
    if not plan.undecided:
        return Result("done", words, len(plan.opened))
    later = (
        f"{words}; {plan.undecided} not listed: to be ended once Alertmanager has been up for a while"
        " and hears from Prometheus"
    )
    return Result("early", later, len(plan.opened))
