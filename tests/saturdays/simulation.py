"""The receiver's own parts in simulated time: an evening takes a second.

Store, intake, gates, actions, outbox and HTTP are the real ones; the loops that would wait are turned by
hand, from one moment at which something is due to the next. Around them are the stand-ins.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from receiver.github import preflight
from receiver.hearing.alertmanager import parse_webhook
from receiver.hearing.intake import Intake, accept
from receiver.hearing.watchdog import Watchdog
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.store import agenda
from receiver.telling import outbox
from receiver.telling.outbox import IDLE
from target.engine import Engine
from tests.chaos.deployment import APP, MINIO, Clock, Deployment, endpoints
from tests.saturdays.prometheus import Condition, Prometheus
from tests.standins.discord import Discord
from tests.standins.github import GitHub, Script

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "rollback.yml"
TICK = timedelta(seconds=15)
"""Prometheus evaluates its rules so often; a change of an alert arrives with the next tick."""
RUN_SECONDS = 90
"""What the workflow takes on the Pi: pull, stop, start, verify."""
_VOLATILE = (
    (re.compile(r"http://127\.0\.0\.1:\d+/api/health"), "APP_URL/api/health"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://…"),
    (re.compile(r"sm-(\d+)-[0-9a-f]{12}"), r"sm-\1-…"),
    (re.compile(r"127\.0\.0\.1:\d+"), "the host"),
    (re.compile(r"unix:///\S+\.sock"), "unix:///var/run/docker.sock"),
)


class Machine:
    """Both of its clocks."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment
        self.ticks = 0.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.ticks

    def timestamp(self) -> float:
        """Seconds since the epoch, as the stand-ins count."""
        return self.moment.timestamp()

    def set(self, moment: datetime) -> None:
        """Time passes until ``moment``."""
        self.ticks += (moment - self.moment).total_seconds()
        self.moment = moment


class SimulatedClock(Clock):
    """The deployment's clock is the machine's."""

    def __init__(self, file: Path, machine: Machine) -> None:
        super().__init__(file)
        self._machine = machine

    def now(self) -> datetime:
        return self._machine.moment


@dataclass(frozen=True)
class Line:
    """One thing that happened, was done or was told."""

    at: datetime
    what: str
    words: str


@dataclass
class Simulation:
    """One deployment and its receiver, for as long as it is told to go on."""

    machine: Machine
    deployment: Deployment
    discord: Discord
    github: GitHub
    prometheus: Prometheus
    receiver: Receiver
    lines: list[Line] = field(default_factory=list)
    _pending: list[tuple[datetime, Callable[[], None]]] = field(default_factory=list)
    _last_event: int = 0

    def __post_init__(self) -> None:
        settings = self.receiver.settings
        self.database = self.receiver._database
        assert self.receiver.duty is not None
        self.duty = self.receiver.duty
        self.intake = Intake(
            policy=self.receiver.policy,
            notifier="discord",
            flap_window=settings.flap_window,
            minio_service=settings.minio_service,
        )
        self.watchdog = Watchdog(
            self.database,
            self.intake,
            settings,
            self.machine,
            gap=lambda _: None,
            beat=lambda: None,
            wake=lambda: None,
            refused=lambda: 0.0,
            monotonic=self.machine.monotonic,
        )
        self.discord.hook(self._told)
        self.github.hook("dispatch", self._dispatched)
        self._next_tick = self.machine.moment

    def happens(self, words: str) -> None:
        """What the story does to the world."""
        self.lines.append(Line(self.machine.moment, "happens", words))

    async def go_on(self, minutes: float) -> None:
        """Everything that is due until then, at its moment."""
        end = self.machine.moment + timedelta(minutes=minutes)
        while True:
            await self._settle()
            moment = min(await self._upcoming(), end)
            if moment >= end:
                self.machine.set(end)
                return
            self.machine.set(moment)

    def skip_to(self, moment: datetime) -> None:
        """Nothing happens until then: the machine sleeps."""
        self.machine.set(moment)
        self._next_tick = moment

    async def _settle(self) -> None:
        """All that is due now."""
        self._carry_out()
        if self.machine.moment >= self._next_tick:
            await self._tick()
        for _ in range(50):
            await self.duty.worker._round()
            self._wait = await self.duty.outbox._next()
            await self._hear()
            due = await self.database.run(agenda.next_due)
            if self._wait > 0 and not (due and due <= self.machine.moment):
                return

    async def _upcoming(self) -> datetime:
        due = await self.database.run(agenda.next_due)
        times = [self._next_tick, *(at for at, _ in self._pending)]
        if due:
            times.append(due)
        if self._wait < IDLE:
            times.append(self.machine.moment + timedelta(seconds=max(self._wait, 0.05)))
        return max(min(times), self.machine.moment + timedelta(milliseconds=1))

    async def _tick(self) -> None:
        self._next_tick = self.machine.moment + TICK
        for status, alerts in self.prometheus.evaluate(self.machine.moment):
            await self._arrives({"status": status, "alerts": alerts})
        await self.watchdog.look()

    async def _arrives(self, told: dict[str, Any]) -> None:
        body = {"version": "4", "groupKey": "{}", "receiver": "sermon-monitor", **told}
        webhook, now = parse_webhook(json.dumps(body).encode()), self.machine.moment
        await self.database.run(lambda c: accept(c, self.intake, webhook, now))

    def at(self, after: timedelta, call: Callable[[], None]) -> None:
        """Call it when so much time has passed."""
        self._pending.append((self.machine.moment + after, call))

    def _carry_out(self) -> None:
        due = [one for one in self._pending if one[0] <= self.machine.moment]
        self._pending = [one for one in self._pending if one not in due]
        for _, call in due:
            call()

    async def _hear(self) -> None:
        """New lines of the audit trail."""
        query = "SELECT * FROM events WHERE id > ? ORDER BY id"
        rows = await self.database.run(
            lambda c: [dict(row) for row in c.execute(query, (self._last_event,))]
        )
        for row in rows:
            self._last_event = row["id"]
            if row["kind"] not in ("told", "stray end"):  # the message itself is heard on Discord
                at = datetime.fromtimestamp(row["at"], UTC)
                self.lines.append(Line(at, row["kind"], _clean(row["words"])))

    def _told(self, message: Any) -> None:
        title = (message.embeds[0]["title"] if message.embeds else message.content).split("\n")[0]
        if message.edits:
            before = message.versions[-2].body.get("embeds") or [{}]
            if before[0].get("title") == title:
                return  # another line on the same card
            how = "the card now"
        elif message.pings:
            how = "told, with the mention"
        else:
            silent = message.body.get("flags", 0) & (1 << 12)
            how = "told, silently" if silent else "told, with a push"
        self.lines.append(Line(self.machine.moment, how, _clean(title)))

    def _dispatched(self, dispatch: Any) -> None:
        """The runner takes it at once where there is one, and needs its time."""
        run = dispatch.run
        if any(runner.online for runner in self.github.runners):
            self.github.advance(run, "in_progress")
            self.at(timedelta(seconds=RUN_SECONDS), lambda: self._ran(run))

    def _ran(self, run: Any) -> None:
        if not run.done:
            version = self.deployment.version_of_commit(run.inputs["target_commit"])
            self.deployment.run_version(version)
            self.github.advance(run, "completed", "success")
            self.happens(f"the workflow has started v{version}")


def _clean(words: str) -> str:
    for pattern, instead in _VOLATILE:
        words = pattern.sub(instead, words)
    return words.replace("|", "\\|").strip()


@asynccontextmanager
async def simulated(directory: Path, begin: datetime) -> AsyncIterator[Simulation]:
    """Everything, standing still at ``begin``."""
    (directory / "state").mkdir(parents=True)
    machine = Machine(begin)
    deployment = Deployment(directory, SimulatedClock(directory / "clock", machine))
    deployment.restart_seconds = lambda: 0.0
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        discord = await enter(Discord(rate_limit=(10_000, 1.0), clock=machine.timestamp))
        github = await enter(GitHub([WORKFLOW], plan=Script(by_hand=True), clock=machine.timestamp))
        prometheus = await enter(Prometheus().serving())
        await enter(deployment.serving())
        app, minio = await enter(endpoints(deployment))
        settings = ReceiverSettings.model_validate(
            {
                "APP_URL": app,
                "MINIO_URL": minio,
                "APP_SERVICE": APP,
                "MINIO_SERVICE": MINIO,
                "STATE_DIR": directory / "state",
                "DOCKER_HOST": deployment.host,
                "PROMETHEUS_URL": prometheus.url,
                "DISCORD_WEBHOOK_URL": discord.url,
                "DISCORD_MENTION": "<@&4242>",
                "CONTACTS": "Anna 0151 234",
                "GITHUB_TOKEN": github.token,
                "GITHUB_REPO": github.repository,
                "GITHUB_API_URL": github.base_url,
            }
        )
        for module, name in ((preflight, "FRESH_SECONDS"), (outbox, "JITTER")):
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, 0.0)
        receiver = Receiver(
            settings, Engine(deployment.host), CollectorRegistry(), machine, machine.monotonic
        )
        await receiver.start()
        stack.push_async_callback(receiver.stop)
        await _stand_still(receiver)
        yield Simulation(machine, deployment, discord, github, prometheus, receiver)


async def _stand_still(receiver: Receiver) -> None:
    """Its own loops wait in real time: from now on they are turned by hand."""
    assert receiver.duty is not None
    tasks = [*receiver.duty.every, *receiver._sentries]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    receiver.duty.tasks, receiver.duty.sentries, receiver._sentries = [], [], []


def conditions(deployment: Deployment) -> Iterator[Condition]:
    """Alerts of alerts.yml about the deployment, with the time for which each must hold."""
    yield Condition(
        "ServiceDown",
        lambda: not deployment.well(APP),
        60,
        labels={"cause": "app", "category": "health"},
    )
    yield Condition(
        "ContainerNotRunning",
        lambda: not deployment.runs(APP),
        60,
        labels={"category": "container", "name": APP},
    )
    yield Condition(
        "MinIODown", lambda: not deployment.well(MINIO), 120, labels={"category": "storage"}
    )
