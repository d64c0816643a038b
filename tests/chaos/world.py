"""One scenario: a receiver with everything around it, killed at its points while plots are played."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from receiver.store.database import StoreError
from tests.chaos import by_itself, people, truth
from tests.chaos.deployment import APP, MINIO, Clock, Deployment, endpoints
from tests.chaos.listing import Listing
from tests.chaos.mischief import Mischief
from tests.chaos.nursery import Nursery, Receiver
from tests.chaos.plots import PATIENCE_SECONDS, PLOTS, POLICY, WARNINGS
from tests.chaos.points import Fate, Side
from tests.chaos.scenario import RANDOM_TIME, Outcome, Scenario
from tests.chaos.sender import Alertmanager, Prometheus, Told
from tests.standins.discord import Discord
from tests.standins.github import GitHub

WORKFLOW_FILE = Path(__file__).parents[2] / ".github" / "workflows" / "rollback.yml"
CONTACTS = "Anna 0151 234"
MOST_LIVES = 40
OFTEN = (0.05, 0.1, 0.2)
"""The chance of a death at each point that is not spared; one of these in a world."""
OFTEN_AT_LAST = (0.15, 0.3, 0.5)
"""The same where many points are spared, because enough have died there."""
MANY = 20
QUIET_WITHIN_SECONDS = 180.0
"""For the end of everything once nothing is killed any more; ends a broken run, measures nothing."""
MOST_AT_A_POINT = 2
"""In one world; then it is let pass."""
AFTERWARDS_SECONDS = 2.0
"""For so long at most it is killed on, once nothing else makes trouble."""
LIFE_SECONDS = (0.5, 8.0)
"""After a random time of these some are killed, wherever they are."""
SHORT_LIVED = 0.15
"""The part of them."""


_PORTS = count(20_000 + os.getpid() % 97 * 100)


def _port() -> int:
    """One that no other world takes while the receiver is away: below those that the system gives out."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("there is no end of ports")


class World:
    """Everything around one receiver."""

    def __init__(self, scenario: Scenario, directory: Path, nursery: Nursery) -> None:
        self.scenario = scenario
        self.rng = random.Random(f"{scenario.seed} {scenario.plots}")
        self.directory = directory
        self.store = directory / "state" / "receiver.sqlite3"
        self.log = directory / "receiver.log"
        self.record = directory / "record"
        self.raised: set[str] = set()
        """Alerts that fire because a plot says so."""
        self.told = Told()
        self.decisions: dict[int, str] = {}
        """What people were told that it counts, by the approval's number."""
        self.day_passed = False
        """A day has begun whose digest is due."""
        self.outcome = Outcome(scenario)
        self.endless = False
        """No more kills: the receiver lives on until it is stopped."""
        self._nursery = nursery
        self._kill_rng = random.Random(f"kills {scenario}")
        many = len(scenario.spared) > MANY
        self._often = self._kill_rng.choice(OFTEN_AT_LAST if many else OFTEN)
        self._lives = 0
        self._end = asyncio.Event()

    @asynccontextmanager
    async def built(self) -> AsyncIterator[None]:
        (self.directory / "state").mkdir(parents=True)
        self.fallback = self.rng.choice(by_itself.fallbacks(self.scenario.plots))
        policy = POLICY.replace("LOCAL_FALLBACK", self.fallback)
        (self.directory / "policy.yml").write_text(policy)
        self.url = f"http://127.0.0.1:{_port()}"
        self.clock = Clock(self.directory / "clock")
        self.deployment = Deployment(self.directory, self.clock)
        self.deployment.restart_seconds = lambda: self.pause(0.3)
        self.prometheus = Prometheus(self._rules())
        self.listing = Listing(self.prometheus)
        self.managers = [
            Alertmanager(n, f"{self.url}/alerts", self.prometheus, self.told, self.rng)
            for n in "ab"
        ]
        async with AsyncExitStack() as stack:
            self.discord = await stack.enter_async_context(Discord(rate_limit=(60, 1.0)))
            github = GitHub([WORKFLOW_FILE], listing_delay_seconds=self.pause(0.4))
            self.github = await stack.enter_async_context(github)
            self.github.hook("run", self._carry_out)
            await stack.enter_async_context(self.deployment.serving())
            self.app_url, self.minio_url = await stack.enter_async_context(
                endpoints(self.deployment)
            )
            self.mischief = Mischief(
                self.discord, self.github, self.deployment, self.clock, self.rng
            )
            self.listing_url = await stack.enter_async_context(self.listing.serving())
            yield

    def pause(self, most: float) -> float:
        return self.rng.uniform(0.02, most)

    def _rules(self) -> dict[tuple[str, str, str], Callable[[], bool]]:
        def raised(name: str) -> Callable[[], bool]:
            return lambda: name in self.raised

        watched = self.deployment
        return {
            (APP, "critical", "ServiceDown"): lambda: not watched.well(APP),
            (APP, "critical", "BadDeploy"): lambda: watched.version in watched.bad,
            ("storage", "critical", "MinIODown"): lambda: not watched.well(MINIO),
            ("monitor", "critical", "SoonAPerson"): raised("SoonAPerson"),
            ("monitor", "warning", "Uneasy"): raised("Uneasy"),
            (APP, "warning", "Slow"): raised("Slow"),
            ("host", "critical", "DiskFull"): raised("DiskFull"),
            **{("container", "warning", n): raised(n) for n in ("Crashing", "Vanished", "Passing")},
            **{
                (f"s{index % 2}", ("warning", "info")[index == 2], name): raised(name)
                for index, name in enumerate(WARNINGS)
            },
        }

    async def _carry_out(self, run: Any) -> None:
        """The workflow's job, where it succeeds: the version meant runs."""
        if run.status != "completed" or run.conclusion != "success":
            return
        version = self.deployment.version_of_commit(run.inputs["target_commit"])
        self.deployment.run_version(version)

    @property
    def environment(self) -> dict[str, str]:
        base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        if "gap" in self.scenario.plots:
            base["ALERTMANAGER_URL"] = self.listing_url
        return base | {
            **self.deployment.project.environment,
            "APP_URL": self.app_url,
            "MINIO_URL": self.minio_url,
            "APP_SERVICE": APP,
            "MINIO_SERVICE": MINIO,
            "STATE_DIR": str(self.directory / "state"),
            "DOCKER_HOST": self.deployment.host,
            "POLICY_FILE": str(self.directory / "policy.yml"),
            "RECEIVER_LISTEN": self.url.removeprefix("http://"),
            "DISCORD_WEBHOOK_URL": self.discord.url,
            "DISCORD_MENTION": "<@&4242>",
            "CONTACTS": CONTACTS,
            "BOARD_TOKEN": people.BOARD_TOKEN,
            "GITHUB_TOKEN": self.github.token,
            "GITHUB_REPO": self.github.repository,
            "GITHUB_API_URL": self.github.base_url,
            "COOLDOWN": "0s",
            "FLAP_WINDOW": "2s",
            "MAX_ROLLBACKS_PER_DAY": "100",
            "MAX_RESTARTS_PER_HOUR": "100",
            "APPROVAL_TTL": "1m",
        }

    async def until_well(self, name: str) -> None:
        await self.until(lambda: self.deployment.well(name))

    async def until_called(self) -> None:
        await self.until(lambda: self.called)

    @property
    def called(self) -> bool:
        """Whether Discord has heard whom to call."""
        return any(CONTACTS in m.content for m in self.discord.messages)

    async def until(
        self, condition: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS
    ) -> bool:
        """Until it holds, or the plot's patience is over. Whether it holds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                while not condition():  # noqa: ASYNC110 - four things may change it
                    await asyncio.sleep(0.05)
                return True
        return False

    def kill(self) -> None:
        """The receiver dies where it is."""
        self.outcome.kills.append(((RANDOM_TIME,), ""))
        self.receiver.signal(signal.SIGKILL)

    async def play(self) -> None:
        """All of it; problems are in ``outcome``."""
        self.prometheus.evaluate()
        living = asyncio.create_task(self._live())
        background = [asyncio.create_task(one.run()) for one in self.managers]
        background.append(asyncio.create_task(self._evaluate()))
        background.append(asyncio.create_task(self.deployment.project.serve(self.deployment.up)))
        trouble = asyncio.create_task(self.mischief.run())
        try:
            await self._alive(living, self._opened())
            for name in self.scenario.plots:
                await self._alive(living, PLOTS[name](self))
            trouble.cancel()
            self.mischief.calm()
            await self._alive(living, asyncio.sleep(self.pause(AFTERWARDS_SECONDS)))
            self.endless = True
            for manager in self.managers:
                manager.honest = True
            await self._alive(living, self._quiet(self.managers))
            await self._stop()
            await living
            self.outcome.problems += truth.check(self)
        finally:
            for task in (*background, trouble, living):
                task.cancel()
            await asyncio.gather(*background, trouble, living, return_exceptions=True)
            await self._stop(signal.SIGKILL)
            self._read_record()

    async def _opened(self) -> None:
        """Until the receiver has made its store for the first time."""
        while not truth.is_open(self.store):  # noqa: ASYNC110 - it is another process's
            await asyncio.sleep(0.05)

    async def _alive(self, living: asyncio.Task[None], work: Any) -> None:
        """``work`` to its end, or the receiver's own failure."""
        task = asyncio.ensure_future(work)
        await asyncio.wait([task, living], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            living.result()
            raise AssertionError("the receiver ended by itself")
        task.result()

    async def _evaluate(self) -> None:
        while True:
            self.prometheus.evaluate()
            await asyncio.sleep(0.05)

    async def _live(self) -> None:
        """Start it, kill it, start it again."""
        while not self._end.is_set():
            mortal = not self.endless and self._lives < MOST_LIVES
            self._lives += 1
            self.receiver: Receiver = await self._nursery.start(
                self.environment, self._fate(mortal=mortal), self.record, self.clock.file, self.log
            )
            if self._end.is_set():  # while it was being started: the one before was told
                self.receiver.signal(signal.SIGTERM)
            code = await self._end_of_life(mortal)
            if self._end.is_set():
                return
            # -SIGTERM: it was told to end before it had begun.
            if code not in (0, -signal.SIGKILL, -signal.SIGTERM):
                raise AssertionError(f"the receiver ended by itself with {code}")
            await asyncio.sleep(self._kill_rng.uniform(0.0, 0.2))

    async def _end_of_life(self, mortal: bool) -> int:
        """Its exit code; killed after a while where it is mortal, now and then ended in order."""
        limit = self._kill_rng.uniform(*LIFE_SECONDS)
        if not mortal or self._kill_rng.random() > SHORT_LIVED:
            return await self.receiver.ended
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                return await asyncio.shield(self.receiver.ended)
        if self.endless:
            return await self.receiver.ended
        politely = self._kill_rng.random() < 0.1
        if not politely:
            self.outcome.kills.append(((RANDOM_TIME,), ""))
        self.receiver.signal(signal.SIGTERM if politely else signal.SIGKILL)
        return await self.receiver.ended

    def _fate(self, *, mortal: bool) -> Fate:
        seed = f"{self.scenario.short} {self._lives}"
        if not mortal:
            return Fate(seed, often=0.0, seldom=0.0)
        return Fate(seed, self._often, self.scenario.spared | self._often_died_at())

    def _often_died_at(self) -> frozenset[str]:
        """Points of this world where it died so often that it would never come past them."""
        died = Counter(
            name for what, names, _ in self._recorded() for name in names if what == "killed"
        )
        return frozenset(name for name, times in died.items() if times >= MOST_AT_A_POINT)

    def _recorded(self) -> Iterator[tuple[str, list[str], Side]]:
        if self.record.exists():
            yield from map(json.loads, self.record.read_text().splitlines())

    async def _stop(self, number: int = signal.SIGTERM) -> None:
        self._end.set()
        receiver = getattr(self, "receiver", None)
        if receiver is None or receiver.ended.done():
            return
        receiver.signal(number)
        try:
            async with asyncio.timeout(QUIET_WITHIN_SECONDS):
                await asyncio.shield(receiver.ended)
        except TimeoutError:
            receiver.signal(signal.SIGKILL)
            raise AssertionError("it does not end when it is told to") from None

    async def _quiet(self, managers: Sequence[Alertmanager]) -> None:
        """Until all is told, done and closed, or a person is called. Raises AssertionError with what is not."""
        left = ["nothing was looked at"]
        try:
            async with asyncio.timeout(QUIET_WITHIN_SECONDS):
                while left:
                    await asyncio.sleep(0.1)
                    left = [
                        f"Alertmanager {m.name} has more to tell" for m in managers if not m.settled
                    ]
                    with contextlib.suppress(StoreError):  # not there yet
                        left += truth.unfinished(self.store)
        except TimeoutError:
            raise AssertionError(f"it does not come to rest: {left}") from None

    def _read_record(self) -> None:
        for what, names, side in self._recorded():
            if what == "killed":
                self.outcome.kills.append((tuple(names), side))
            else:
                self.outcome.passed.update((name, side) for name in names)
