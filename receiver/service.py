"""The receiver as a whole: wired, started and stopped in named phases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import aiohttp
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from receiver.actions import Action
from receiver.actions.local_rollback import SaveFirst
from receiver.app import App
from receiver.approving.links import Links
from receiver.approving.page import ApprovalPage
from receiver.board.access import Access
from receiver.board.wiring import Board
from receiver.clock import Clock, SteadyClock
from receiver.deciding.policy import Confirm, load_policy
from receiver.deciding.situation import Lookout
from receiver.duty import Duty, Ground
from receiver.equipment import build_actions, build_github, policy_path
from receiver.github.client import GitHub
from receiver.hearing.alertmanager import Webhook
from receiver.hearing.ear import Ear
from receiver.hearing.github import GitHubHook
from receiver.hearing.in_hand import InHand
from receiver.hearing.intake import Intake
from receiver.hearing.sorting import ALL, Share
from receiver.http import Http, open_session
from receiver.maintenance.windows import open_around_deployment
from receiver.metrics import Metrics, StoreGauges
from receiver.notifiers import configured
from receiver.ready import Readiness
from receiver.rollback.readiness import RollbackReady
from receiver.rollback.route import Router
from receiver.settings import ReceiverSettings
from receiver.signing import Signer, open_signer
from receiver.store import incidents
from receiver.store.database import Database
from receiver.verify import Confirmer
from target.engine import Engine
from target.versions import Release

if TYPE_CHECKING:
    from receiver.sharing import Sharing

log = structlog.get_logger("receiver")


@dataclass(frozen=True)
class Front:
    """What several deployments of one process share: who is let in, and how much is in memory."""

    access: Access
    in_hand: InHand


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
        share: Share = ALL,
    ) -> None:
        """``monotonic``: seconds of a clock that nobody can set, beside ``clock``, which may be.

        ``save_first``: asked before this machine rolls back itself. ``share``: which of several deployments it is.
        """
        self._save_first = save_first
        self.share = share
        self.settings = settings
        self.policy = load_policy(policy_path(settings), settings.own_host)
        self._engine = engine
        self._registry = registry
        self._sharing: Sharing | None = None
        if settings.server is None:
            self.clock = SteadyClock(clock, monotonic)
            self._database = Database(settings.database_path)
        else:
            from receiver.sharing import Sharing  # noqa: PLC0415 - the extra

            self._sharing = Sharing(settings.server, clock, monotonic)
            self.clock, self._database = self._sharing.clock, self._sharing.database
        self._own: Duty | None = None
        self._gauges: StoreGauges | None = None
        self._sessions: list[aiohttp.ClientSession] = []
        self._sentries: list[asyncio.Task[None]] = []
        self._ready: RollbackReady | None = None

    async def start(self) -> web.Application:
        """Open the store, begin to work, and return what is to be listened with."""
        await self.open()
        access = Access(self.settings, self.signer, self.clock)
        front = Front(access, InHand(self.settings.max_body_bytes))
        self.begin()
        app = App(self.settings, self.hear, self.count, self.ready)
        application = app.application()
        self.add_pages(application, front)
        return application

    async def open(self) -> None:
        """The store, and the key that links and cookies are signed with."""
        self._database.open()
        signer = open_signer(self.settings.state_dir)
        if self._sharing is not None:
            signer = Signer(await self._sharing.key(signer.key))
        self.signer = signer

    def begin(self) -> None:
        """Begin to work; what is heard from here on is taken."""
        calls = open_session()
        self._sessions = [calls]
        self._http = http = Http(calls)
        notifiers = {n.name: n for n in configured(http, self.settings)}
        self._metrics = metrics = Metrics(self._registry, notifiers)
        self._gauges = StoreGauges(self._database, self.clock)
        self._registry.register(self._gauges)
        self._confirmer = Confirmer(self.settings, self._engine, http)
        github = build_github(self.settings, http)
        self.lookout = Lookout(self.settings, self.policy, self._confirmer, http, github)
        self._links = Links(self.signer, self.settings.public_url or "")
        self._intake = intake = Intake(
            policy=self.policy,
            notifier=next(iter(notifiers)),
            flap_window=self.settings.flap_window,
            minio_service=self.settings.minio_service,
        )
        self._look_ahead(self.lookout.router)
        self._work(
            Ground(
                settings=self.settings,
                policy=self.policy,
                clock=self.clock,
                http=http,
                notifiers=notifiers,
                metrics=metrics,
                lookout=self.lookout,
                intake=intake,
                links=self._links,
                actions=lambda: self._actions(github),
                unready=self.unready,
                share=self.share,
            )
        )
        self.hear = Ear(intake, self._database, metrics, self.clock, self._arrived).hear
        self.ready = Readiness(self._database, self.clock, self.unready).words

    def count(self, outcome: str) -> None:
        """What became of a webhook."""
        self._metrics.webhooks.labels(outcome).inc()

    def add_pages(self, application: web.Application, front: Front) -> None:
        """The board, the links on cards, and where GitHub calls."""
        page = ApprovalPage(
            self._database, self._links, self.lookout, self._metrics, self.clock, self._wake
        )
        application.add_routes(page.routes())
        hook = GitHubHook(
            self.settings, self._database, self._metrics, self.clock, self._wake, front.in_hand
        )
        application.add_routes(hook.routes())
        self.board = Board(
            front.access,
            self._database,
            self._intake,
            self.lookout,
            self._http,
            self.clock,
            self._wake,
            self.unready,
            self.share.name,
        )
        self.board.add_to(application)

    def _actions(self, github: GitHub | None) -> Mapping[str, Action]:
        return build_actions(
            self.settings, self._engine, github, self.lookout, self.policy, self._save_first
        )

    def _work(self, ground: Ground) -> None:
        """Work at once; or, beside other receivers, when it is our turn."""
        if self._sharing is None:
            self._own = Duty(ground, self._database)
            self._own.begin()
            return
        turns = self._sharing.run(lambda database: Duty(ground, database))
        self._sentries.append(asyncio.create_task(turns, name="turn among the receivers"))

    @property
    def duty(self) -> Duty | None:
        """None while another receiver works."""
        return self._own if self._sharing is None else self._sharing.duty

    def _look_ahead(self, router: Router) -> None:
        """Begin to look whether a rollback could be begun. In a dry run nobody is asked."""
        if self.settings.dry_run or (router.preflight is None and router.mode != "auto"):
            return
        self._ready = RollbackReady(router, self.policy.timing.preflight, self.clock)
        self._registry.register(self._ready)
        self._sentries.append(asyncio.create_task(self._ready.run(), name="readiness"))

    def _arrived(self, webhook: Webhook) -> None:
        if self.duty is not None:
            self.duty.arrived(webhook)

    def missed(self, why: str) -> None:
        """Something may have been told that did not arrive here."""
        if self.duty is not None:
            self.duty.missed(why)

    def _wake(self) -> None:
        if self.duty is not None:
            self.duty.wake()

    def unready(self) -> str:
        """Why work is not being done, in words; empty when it is."""
        for task in self._sentries:
            if task.done():
                return f"the {task.get_name()} has ended"
        if self.duty is not None:
            return self.duty.problem()
        return "" if self._sharing else "not started"

    async def wait_failure(self) -> None:
        """Return only by raising what ended one of our tasks before its time."""
        every = [*self._sentries, *(self._own.every if self._own else ())]
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
        if release.since + grace <= self.clock.now():
            return
        opened = await self._database.run(
            lambda c: open_around_deployment(
                c, release.title, release.since, grace, self.clock.now()
            )
        )
        if opened:
            log.info("a deployment is under way", version=release.title, grace=str(grace))
            self._wake()

    async def stop(self) -> None:
        """Finish what is in hand, commit, close. Accepting has stopped before."""
        for sentry in self._sentries:
            sentry.cancel()
        await asyncio.gather(*self._sentries, return_exceptions=True)
        if self._sharing is not None:
            await self._sharing.stop()
        if self._own is not None:
            await self._own.finish()
        if self._gauges is not None:
            self._registry.unregister(self._gauges)
            if self._ready is not None:
                self._registry.unregister(self._ready)
            self._gauges.close()
        for session in self._sessions:
            await session.close()
        self._database.close()
