"""What one receiver at a time does: decides, acts, tells, and watches over what arrives.

Everything it knows it has from the store, so it can be cut off at any instant and begun again, here or by
another receiver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from receiver.actions import Action
from receiver.approving.links import Links
from receiver.clock import SteadyClock
from receiver.deciding.policy import Policy
from receiver.deciding.situation import Lookout
from receiver.digest.keeper import DigestKeeper
from receiver.hearing.alertmanager import Webhook
from receiver.hearing.intake import Intake
from receiver.hearing.reconcile import Reconciler
from receiver.hearing.sight import Lookback
from receiver.hearing.sorting import Share
from receiver.hearing.watchdog import Watchdog
from receiver.http import Http
from receiver.maintenance.silences import Mirror
from receiver.metrics import Metrics
from receiver.notifiers.elsewhere import Elsewhere
from receiver.pictures.studio import Studio
from receiver.settings import ReceiverSettings
from receiver.store.database import Database
from receiver.telling.delivery import Notifier
from receiver.telling.elsewhere import Keeper
from receiver.telling.heartbeat import Heartbeat
from receiver.telling.outbox import Outbox
from receiver.timers import Timers
from receiver.upkeep import Upkeep
from receiver.worker import Worker

log = structlog.get_logger("receiver")
FINISH_WITHIN = 20.0
"""Seconds that work in hand gets to finish at a shutdown; what is cut off is found again by its record."""


@dataclass(frozen=True)
class Ground:
    """What a duty stands on, whoever does it and how often it is begun."""

    settings: ReceiverSettings
    policy: Policy
    clock: SteadyClock
    http: Http
    notifiers: Mapping[str, Notifier]
    metrics: Metrics
    lookout: Lookout
    intake: Intake
    links: Links
    actions: Callable[[], Mapping[str, Action]]
    """New ones each time: what they remember is of one time of working."""
    unready: Callable[[], str]
    share: Share
    """What of all alerts is told here."""


class Duty:
    """``begin`` once; then ``finish``, or ``cut_off``."""

    def __init__(self, ground: Ground, database: Database) -> None:
        settings, clock = ground.settings, ground.clock
        first = next(iter(ground.notifiers))
        self.worker = Worker(
            database,
            ground.lookout,
            ground.actions(),
            ground.metrics,
            clock,
            first,
            Lookback(database, settings, ground.policy, ground.http),
            Timers(database, clock),
        )
        self.outbox = Outbox(
            database,
            ground.notifiers,
            settings,
            ground.metrics,
            clock,
            self.worker.told,
            ground.links,
        )
        self._ground = ground
        self._database = database
        self.upkeep = Upkeep(database, settings.retention, clock)
        self._studio: Studio | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.sentries: list[asyncio.Task[None]] = []
        self._stand_guard()

    def _stand_guard(self) -> None:
        """What watches over the way from Alertmanager to here."""
        ground, database, clock = self._ground, self._database, self._ground.clock
        settings, http, metrics = ground.settings, ground.http, ground.metrics
        self._heartbeat = Heartbeat(
            settings.heartbeat_url, http, database, metrics, clock, ground.unready
        )
        self._reconciler = Reconciler(
            database, ground.intake, settings, metrics, clock, http, self.wake, ground.share
        )
        self._watchdog = Watchdog(
            database,
            ground.intake,
            settings,
            clock,
            gap=self._reconciler.ask,
            beat=self._heartbeat.beat,
            wake=self.wake,
            refused=metrics.refused_by_store,
        )
        if Studio.wanted(settings):
            self._studio = Studio(database, settings, http, clock, self.worker.told.set)
        self._digest = DigestKeeper(
            database, settings, clock, http, ground.intake.notifier, self.wake
        )
        self._mirror = Mirror(
            database,
            settings.alertmanager_url,
            ground.policy.heartbeat,
            http,
            clock,
            self._reconciler.ask,
            settings.own_host,
            ground.share,
        )
        self._reconciler.hidden_by = lambda: self._mirror.ours

    def begin(self) -> None:
        settings = self._ground.settings
        self._ground.lookout.doubt = self._reconciler.ask
        self._reconciler.ask("the start")
        self.tasks = [
            asyncio.create_task(self.worker.run(), name="worker"),
            asyncio.create_task(self.outbox.run(), name="outbox"),
        ]
        self.sentries = [
            asyncio.create_task(self.upkeep.run(), name="upkeep of the store"),
            asyncio.create_task(self._mirror.run(), name="mirror of maintenance windows"),
            asyncio.create_task(self._watchdog.run(), name="watchdog"),
            asyncio.create_task(self._heartbeat.run(), name="heartbeat"),
            asyncio.create_task(self._reconciler.run(), name="reconciliation"),
            asyncio.create_task(self._digest.run(), name="digest"),
        ]
        if self._studio is not None:
            self.sentries.append(asyncio.create_task(self._studio.run(), name="pictures"))
        if settings.fallbacks:
            way = Elsewhere(settings.fallbacks)
            keeper = Keeper(self._database, settings, self._ground.metrics, self._ground.clock, way)
            self.sentries.append(asyncio.create_task(keeper.run(), name="telling elsewhere"))

    def arrived(self, webhook: Webhook) -> None:
        """A webhook was accepted here."""
        self._watchdog.heard()
        if webhook.truncated_alerts:
            self._reconciler.ask("Alertmanager left alerts out of its message")
        self.wake()

    def missed(self, why: str) -> None:
        """Something may have been told that did not arrive here."""
        self._reconciler.ask(why)

    def wake(self) -> None:
        """There may be something to do."""
        self.worker.wake()
        self.worker.told.set()
        if self._studio is not None:
            self._studio.wake()

    @property
    def every(self) -> Sequence[asyncio.Task[None]]:
        return [*self.tasks, *self.sentries]

    def problem(self) -> str:
        """Why it is not done, in words; empty when it is."""
        for task in self.every:
            if task.done():
                return f"the {task.get_name()} has ended"
        return self.upkeep.problem if self.tasks else "not started"

    async def failure(self) -> None:
        """Return only by raising what ended one of the tasks before its time."""
        done, _ = await asyncio.wait(self.every, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def finish(self) -> None:
        """Finish what is in hand, within a bound."""
        for sentry in self.sentries:
            sentry.cancel()  # each of their changes is one transaction: done or not begun
        await asyncio.gather(*self.sentries, return_exceptions=True)
        if self.tasks:
            self.worker.stop()
            self.outbox.stop()
            _, late = await asyncio.wait(self.tasks, timeout=FINISH_WITHIN)
            for task in late:
                log.warning("cut off; its record says how far it came", task=task.get_name())
            await self.cut_off()

    async def cut_off(self) -> None:
        """End at once: what was in hand is found by its record."""
        for task in self.every:
            task.cancel()
        await asyncio.gather(*self.every, return_exceptions=True)
