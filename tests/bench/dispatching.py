"""From a webhook's arrival to the dispatch at GitHub's door, against a commit, a round trip and our own look."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aiohttp
from prometheus_client import CollectorRegistry

from receiver.clock import SystemClock
from receiver.github.api import MUTATION_GAP_SECONDS
from receiver.http import Http
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.verify import Confirmer
from target.engine import Engine
from tests.bench.acting import STORED, fill
from tests.bench.webhooks import listen
from tests.chaos.deployment import APP, Clock, Deployment, endpoints
from tests.standins.discord import Discord
from tests.standins.github import GitHub, Script

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "rollback.yml"
POLICY = """
version: 1
timing: {recheck: 100ms, run_poll: 50ms, run_lookup: 2s, queue_deadline: 10s, run_deadline: 10s,
         verify_for: 0s, verify_deadline: 5s}
alerts:
  - {alert: BadDeploy, category: health, severity: critical, discord: now, confirm: probe,
     steps: [rollback @0m]}
others: {critical: {discord: now}, warning: {discord: grouped}, info: {discord: digest}}
"""
HEADERS = {"Content-Type": "application/json"}


class Took(NamedTuple):
    """Seconds, each a median."""

    dispatch: float
    floor: float
    """One commit with FULL and one POST."""
    look: float
    """Our own confirmation."""


def _body(status: str, number: int) -> bytes:
    alert = {
        "status": status,
        "labels": {"alertname": "BadDeploy", "severity": "critical", "service": f"s{number}"},
        "startsAt": datetime.now(UTC).isoformat(),
        "fingerprint": f"bad-{number}",
    }
    fixed = {"version": "4", "groupKey": "{}", "status": status, "receiver": "bench"}
    return json.dumps({**fixed, "alerts": [alert]}).encode()


class _Bench:
    """A receiver, what it watches, and a GitHub whose runs succeed at once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "policy.yml").write_text(POLICY)
        (directory / "state").mkdir()
        self.deployment = Deployment(directory, Clock(directory / "clock"))
        self.arrived: asyncio.Queue[float] = asyncio.Queue()

    async def _dispatched(self, _dispatch: object) -> None:
        self.arrived.put_nowait(time.perf_counter())

    async def _ran(self, run: Any) -> None:
        if run.conclusion == "success":
            commit = run.inputs["target_commit"]
            self.deployment.run_version(self.deployment.version_of_commit(commit))

    async def measure(self, times: int) -> Took:
        async with AsyncExitStack() as stack:
            github = await stack.enter_async_context(GitHub([WORKFLOW]))
            discord = await stack.enter_async_context(Discord(rate_limit=(100_000, 1.0)))
            github.hook("dispatch", self._dispatched)
            github.hook("run", self._ran)
            await stack.enter_async_context(self.deployment.serving())
            app, minio = await stack.enter_async_context(endpoints(self.deployment))
            session = await stack.enter_async_context(aiohttp.ClientSession())
            settings = ReceiverSettings.model_validate(
                {
                    "STATE_DIR": str(self.directory / "state"),
                    "POLICY_FILE": str(self.directory / "policy.yml"),
                    "APP_URL": app,
                    "MINIO_URL": minio,
                    "APP_SERVICE": APP,
                    "DOCKER_HOST": self.deployment.host,
                    "DISCORD_WEBHOOK_URL": discord.url,
                    "GITHUB_TOKEN": github.token,
                    "GITHUB_REPO": github.repository,
                    "GITHUB_API_URL": github.base_url,
                    "COOLDOWN": "0s",
                    "MAX_ROLLBACKS_PER_DAY": "100",
                }
            )
            engine = Engine(self.deployment.host)
            receiver = Receiver(settings, engine, CollectorRegistry(), SystemClock())
            runner, url = await listen(await receiver.start())
            stack.push_async_callback(receiver.stop)
            stack.push_async_callback(runner.cleanup)
            looker = Confirmer(settings, engine, Http(session))
            dispatches, looks, floors = [], [], []
            for number in range(times):
                github.play(Script(0.0, 0.0))
                self.deployment.deploy_bad()
                looks.append(await _timed(looker.look("probe")))
                dispatches.append(await self._one(session, url, number))
                floors.append(await self._floor(session, discord.url))
                await self._over(session, url, number)
                # GitHub asks for a second between two changes; a rollback has not been preceded by one.
                await asyncio.sleep(MUTATION_GAP_SECONDS)
        return Took(median(dispatches), median(floors), median(looks))

    async def _one(self, session: aiohttp.ClientSession, url: str, number: int) -> float:
        began = time.perf_counter()
        await _post(session, url, _body("firing", number))
        async with asyncio.timeout(60):
            return await self.arrived.get() - began

    async def _over(self, session: aiohttp.ClientSession, url: str, number: int) -> None:
        """Until the rollback is done and its incident is closed."""
        await _post(session, url, _body("resolved", number))
        async with asyncio.timeout(60):
            while await self._open(session, url):  # noqa: ASYNC110 - asked by HTTP
                await asyncio.sleep(0.05)

    async def _open(self, session: aiohttp.ClientSession, url: str) -> bool:
        async with session.get(url.replace("/alerts", "/api/incidents")) as answer:
            return any(one["state"] == "open" for one in (await answer.json())["incidents"])

    async def _floor(self, session: aiohttp.ClientSession, url: str) -> float:
        connection = sqlite3.connect(self.directory / "floor.sqlite3", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS bodies (at REAL, body BLOB)")
        began = time.perf_counter()
        connection.execute("INSERT INTO bodies VALUES (?, ?)", (began, b"x" * 400))
        took = time.perf_counter() - began
        connection.close()
        return took + await _timed(_post(session, f"{url}?wait=true", b'{"content": "a bench"}'))


async def _timed(work: Any) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _post(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    async with session.post(url, data=body, headers=HEADERS) as answer:
        await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"HTTP {answer.status}")


def measure(rounds: int, times: int = 12) -> tuple[list[Took], list[Took]]:
    """Each round, in turn: with an empty store, and with STORED incidents of the past."""
    empty: list[Took] = []
    full: list[Took] = []
    for _ in range(rounds):
        for found, stored in ((empty, 0), (full, STORED)):
            with tempfile.TemporaryDirectory() as directory:
                bench = _Bench(Path(directory))
                fill(Path(directory) / "state" / "receiver.sqlite3", stored)
                found.append(asyncio.run(bench.measure(times)))
    return empty, full
