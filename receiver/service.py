"""The receiver as a whole: wired, started and stopped in named phases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

import aiohttp
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from receiver.actions import Action
from receiver.actions.cleanup import CleanUp
from receiver.actions.emergency_stop import EmergencyStop
from receiver.actions.investigate import Investigate
from receiver.actions.local_rollback import LocalRollback, SaveFirst
from receiver.actions.person import Person
from receiver.actions.restart import Restart
from receiver.actions.rollback import Rollback
from receiver.app import App
from receiver.approving.links import Links
from receiver.approving.page import ApprovalPage
from receiver.board.wiring import Board
from receiver.clock import Clock, SteadyClock
from receiver.deciding.policy import Confirm, Policy, load_policy
from receiver.deciding.situation import Lookout
from receiver.digest.keeper import DigestKeeper
from receiver.github.client import GitHub
from receiver.hearing.alertmanager import Webhook
from receiver.hearing.github import GitHubHook
from receiver.hearing.intake import Intake
from receiver.hearing.reconcile import Reconciler
from receiver.hearing.sight import Lookback
from receiver.hearing.watchdog import Watchdog
from receiver.http import Http, open_session
from receiver.maintenance.silences import Mirror
from receiver.maintenance.windows import open_around_deployment
from receiver.metrics import Metrics, StoreGauges
from receiver.notifiers import configured
from receiver.notifiers.elsewhere import Elsewhere
from receiver.pictures.studio import Studio
from receiver.rollback.readiness import RollbackReady
from receiver.rollback.route import Router
from receiver.settings import ReceiverSettings
from receiver.signing import open_signer
from receiver.store import incidents
from receiver.store.database import Database
from receiver.telling.elsewhere import Keeper
from receiver.telling.heartbeat import Heartbeat
from receiver.telling.outbox import Outbox
from receiver.timers import Timers
from receiver.upkeep import Upkeep
from receiver.verify import Confirmer
from receiver.worker import Worker
from target.engine import Engine
from target.versions import Release

log = structlog.get_logger("receiver")
FINISH_WITHIN = 20.0
"""Seconds that work in hand gets to finish at a shutdown; what is cut off is found again by its record."""


def policy_path(settings: ReceiverSettings) -> Path:
    """POLICY_FILE, or the table that this release ships."""
    return settings.policy_file or Path(str(resources.files("monitoring").joinpath("policy.yml")))


def build_github(settings: ReceiverSettings, http: Http) -> GitHub | None:
    """None where GitHub is not configured."""
    if not (settings.github_token and settings.github_repo):
        return None
    return GitHub(
        http,
        settings.github_api_url,
        settings.github_repo,
        settings.github_token,
        settings.rollback_workflow,
        settings.rollback_ref,
    )


def build_actions(
    settings: ReceiverSettings,
    engine: Engine,
    github: GitHub | None,
    lookout: Lookout,
    policy: Policy,
    save_first: SaveFirst | None = None,
) -> Mapping[str, Action]:
    """ACTIONS: one line each."""
    local = LocalRollback(settings, engine, policy.timing, save_first)
    made: tuple[Action, ...] = (
        Restart(settings, engine),
        CleanUp(settings, engine),
        EmergencyStop(engine, policy.timing, lookout.confirmer, github, lookout.settings.zone),
        Rollback(github, lookout, policy.timing, local),
        Person(settings.contacts),
        Investigate(settings, engine),
    )
    return {action.name: action for action in made}


class Receiver:
    """Accepts, decides, tells and acts. ``start`` raises PolicyError or StoreError before anything runs."""

    def __init__(
        self,
        settings: ReceiverSettings,
        engine: Engine,
        registry: CollectorRegistry,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        save_first: SaveFirst | None = None,
    ) -> None:
        """``monotonic``: seconds of a clock that nobody can set, beside ``clock``, which may be.

        ``save_first``: asked before this machine rolls back itself.
        """
        self._save_first = save_first
        self.settings = settings
        self.policy = load_policy(policy_path(settings), settings.own_host)
        self._engine = engine
        self._registry = registry
        self._clock = SteadyClock(clock, monotonic)
        self._database = Database(settings.database_path)
        self._upkeep = Upkeep(self._database, settings.retention, self._clock)
        self._sessions: list[aiohttp.ClientSession] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._sentries: list[asyncio.Task[None]] = []
        self._ready: RollbackReady | None = None
        self._studio: Studio | None = None

    async def start(self) -> web.Application:
        """Open the store, begin to work, and return what is to be listened with."""
        self._database.open()
        calls = open_session()
        self._sessions = [calls]
        http = Http(calls)
        notifiers = {n.name: n for n in configured(http, self.settings)}
        metrics = Metrics(self._registry, notifiers)
        self._gauges = StoreGauges(self._database, self._clock)
        self._registry.register(self._gauges)
        self._confirmer = Confirmer(self.settings, self._engine, http)
        github = build_github(self.settings, http)
        self.lookout = Lookout(self.settings, self.policy, self._confirmer, http, github)
        actions = build_actions(
            self.settings, self._engine, github, self.lookout, self.policy, self._save_first
        )
        first = next(iter(notifiers))
        lookback = Lookback(self._database, self.settings, self.policy, http)
        self.worker = Worker(
            self._database,
            self.lookout,
            actions,
            metrics,
            self._clock,
            first,
            lookback,
            Timers(self._database, self._clock),
        )
        signer = open_signer(self.settings.state_dir)
        links = Links(signer, self.settings.public_url or "")
        self.outbox = Outbox(
            self._database,
            notifiers,
            self.settings,
            metrics,
            self._clock,
            self.worker.told,
            links,
        )
        self._tasks = [
            asyncio.create_task(self.worker.run(), name="worker"),
            asyncio.create_task(self.outbox.run(), name="outbox"),
        ]
        intake = Intake(
            policy=self.policy,
            notifier=first,
            flap_window=self.settings.flap_window,
            minio_service=self.settings.minio_service,
        )
        self._look_ahead(self.lookout.router)
        arrived = self._stand_guard(http, intake, metrics)
        app = App(
            self.settings,
            intake,
            self._database,
            metrics,
            self._clock,
            arrived,
            self.unready,
        )
        page = ApprovalPage(self._database, links, self.lookout, metrics, self._clock, self._wake)
        application = app.application()
        application.add_routes(page.routes())
        hook = GitHubHook(self.settings, self._database, metrics, self._clock, self._wake)
        application.add_routes(hook.routes())
        Board(
            signer,
            self._database,
            intake,
            self.lookout,
            http,
            self._clock,
            self._wake,
            self.unready,
        ).add_to(application)
        return application

    def _look_ahead(self, router: Router) -> None:
        """Begin to look whether a rollback could be begun. In a dry run nobody is asked."""
        if self.settings.dry_run or (router.preflight is None and router.mode != "auto"):
            return
        self._ready = RollbackReady(router, self.policy.timing.preflight, self._clock)
        self._registry.register(self._ready)
        self._sentries.append(asyncio.create_task(self._ready.run(), name="readiness"))

    def _stand_guard(
        self, http: Http, intake: Intake, metrics: Metrics
    ) -> Callable[[Webhook], None]:
        """Begin to watch over the way from Alertmanager to here; what to call when a webhook was accepted."""
        heartbeat = Heartbeat(
            self.settings.heartbeat_url, http, self._database, metrics, self._clock, self.unready
        )
        reconciler = Reconciler(
            self._database, intake, self.settings, metrics, self._clock, http, self._wake
        )
        watchdog = Watchdog(
            self._database,
            intake,
            self.settings,
            self._clock,
            gap=reconciler.ask,
            beat=heartbeat.beat,
            wake=self._wake,
            refused=metrics.refused_by_store,
        )
        if Studio.wanted(self.settings):
            told = self.worker.told.set
            self._studio = Studio(self._database, self.settings, http, self._clock, told)
            self._sentries.append(asyncio.create_task(self._studio.run(), name="pictures"))
        digest = DigestKeeper(
            self._database, self.settings, self._clock, http, intake.notifier, self._wake
        )
        self.lookout.doubt = reconciler.ask
        reconciler.ask("the start")
        mirror = Mirror(
            self._database,
            self.settings.alertmanager_url,
            self.policy.heartbeat,
            http,
            self._clock,
            reconciler.ask,
            self.settings.own_host,
        )
        reconciler.hidden_by = lambda: mirror.ours
        self._sentries += [
            asyncio.create_task(self._upkeep.run(), name="upkeep of the store"),
            asyncio.create_task(mirror.run(), name="mirror of maintenance windows"),
            asyncio.create_task(watchdog.run(), name="watchdog"),
            asyncio.create_task(heartbeat.run(), name="heartbeat"),
            asyncio.create_task(reconciler.run(), name="reconciliation"),
            asyncio.create_task(digest.run(), name="digest"),
        ]

        if self.settings.fallbacks:
            way = Elsewhere(self.settings.fallbacks)
            keeper = Keeper(self._database, self.settings, metrics, self._clock, way)
            self._sentries.append(asyncio.create_task(keeper.run(), name="telling elsewhere"))

        def arrived(webhook: Webhook) -> None:
            watchdog.heard()
            if webhook.truncated_alerts:
                reconciler.ask("Alertmanager left alerts out of its message")
            self._wake()

        return arrived

    def _wake(self) -> None:
        self.worker.wake()
        self.worker.told.set()
        if self._studio is not None:
            self._studio.wake()

    def unready(self) -> str:
        """Why work is not being done, in words; empty when it is."""
        for task in (*self._tasks, *self._sentries):
            if task.done():
                return f"the {task.get_name()} has ended"
        return self._upkeep.problem if self._tasks else "not started"

    async def wait_failure(self) -> None:
        """Return only by raising what ended one of our tasks before its time."""
        every = [*self._tasks, *self._sentries]
        done, _ = await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def looks_healthy(self, role: Literal["app", "minio"] = "app") -> bool:
        """What makes a running version count as good: it answers, and no critical alert fires."""
        own = self.settings.own_host
        if await self._database.run(lambda c: incidents.critical_fires(c, own)):
            return False
        look: Confirm = "minio" if role == "minio" else "probe"
        return (await self._confirmer.look(look)).sick is False

    async def deployed(self, release: Release) -> None:
        """Another version took over: it gets its grace before anything is done by itself."""
        grace = self.policy.timing.deployment_grace
        if release.since + grace <= self._clock.now():
            return
        opened = await self._database.run(
            lambda c: open_around_deployment(
                c, release.title, release.since, grace, self._clock.now()
            )
        )
        if opened:
            log.info("a deployment is under way", version=release.title, grace=str(grace))
            self._wake()

    async def stop(self) -> None:
        """Finish what is in hand, commit, close. Accepting has stopped before."""
        for sentry in self._sentries:
            sentry.cancel()  # each of their changes is one transaction: done or not begun
        await asyncio.gather(*self._sentries, return_exceptions=True)
        if self._tasks:
            self.worker.stop()
            self.outbox.stop()
            _, late = await asyncio.wait(self._tasks, timeout=FINISH_WITHIN)
            for task in late:
                log.warning("cut off; its record says how far it came", task=task.get_name())
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._registry.unregister(self._gauges)
            if self._ready is not None:
                self._registry.unregister(self._ready)
            self._gauges.close()
        for session in self._sessions:
            await session.close()
        self._database.close()
