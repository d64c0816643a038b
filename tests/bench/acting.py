"""From a webhook's arrival to the card on the wire, against one durable commit plus one HTTP round trip."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import aiohttp
from prometheus_client import CollectorRegistry

from receiver.clock import SystemClock
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.store import incidents
from receiver.store.database import connect, migrate
from target.engine import Engine
from tests.bench.webhooks import listen
from tests.standins.discord import Discord

Beside = Callable[[str], Awaitable[None]]
STORED = 10_000
"""Incidents of the past, in the store that is not empty."""


def _body(number: int) -> bytes:
    labels = {"alertname": "Bench", "severity": "warning", "service": f"acting-{number}"}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "a benchmark"},
        "startsAt": datetime.now(UTC).isoformat(),
        "fingerprint": f"acting-{number}",
    }
    fixed = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "bench"}
    return json.dumps({**fixed, "alerts": [alert]}).encode()


async def cards(times: int, stored: int, beside: Beside | None = None) -> list[float]:
    """Seconds from the request's start to its card at Discord's door; ``stored``: incidents that are over.

    ``beside``: what goes on meanwhile, with the receiver's address.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        fill(directory / "receiver.sqlite3", stored)
        async with (
            Discord(rate_limit=(100_000, 1.0)) as discord,
            aiohttp.ClientSession() as session,
        ):
            seen = asyncio.Event()

            arrivals: list[float] = []

            async def note(_message: object) -> None:
                arrivals.append(time.perf_counter())
                seen.set()

            discord.hook(note)
            settings = ReceiverSettings.model_validate(
                {"STATE_DIR": name, "DRY_RUN": True, "DISCORD_WEBHOOK_URL": discord.url}
            )
            receiver = Receiver(settings, Engine("unix:///nonexistent"), CollectorRegistry(), SystemClock())  # fmt: skip
            runner, url = await listen(await receiver.start())
            took = []
            meanwhile = asyncio.create_task(_beside(beside, url))
            try:
                for number in range(times):
                    seen.clear()
                    arrivals.clear()
                    began = time.perf_counter()
                    headers = {"Content-Type": "application/json"}
                    async with session.post(url, data=_body(number), headers=headers) as answer:
                        if answer.status != 200:
                            raise RuntimeError(f"HTTP {answer.status}")
                    await seen.wait()
                    took.append(arrivals[0] - began)
                    await asyncio.sleep(0.05)  # the record of its delivery is not this one's
                if meanwhile.done():
                    meanwhile.result()  # it should have gone on
            finally:
                meanwhile.cancel()
                await asyncio.gather(meanwhile, return_exceptions=True)
                await runner.cleanup()
                await receiver.stop()
    return took


async def _beside(work: Beside | None, url: str) -> None:
    await (work(url) if work else asyncio.Event().wait())


def fill(path: Path, count: int) -> None:
    connection = connect(path)
    migrate(connection)
    connection.execute("BEGIN")
    now = datetime.now(UTC)
    for number in range(count):
        made = incidents.open_incident(connection, f"past-{number}", "warning", now)
        connection.execute(
            "INSERT INTO messages (incident_id, kind, notifier, ping, message_id, revision, delivered, due_at, since)"
            " VALUES (?, 'card', 'discord', 0, ?, 3, 3, ?, ?)",
            (made, str(number), now.timestamp(), now.timestamp()),
        )
        incidents.resolve_incident(connection, made, "well", now)
    connection.execute("COMMIT")
    connection.close()


async def floor(times: int) -> float:
    """Seconds of one commit with FULL plus one POST to the same stand-in, each its median."""
    with tempfile.TemporaryDirectory() as name:
        connection = sqlite3.connect(Path(name) / "floor.sqlite3", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bodies (at REAL, body BLOB)")
        commits, posts = [], []
        async with Discord(rate_limit=(100_000, 1.0)) as discord:
            for number in range(times):
                began = time.perf_counter()
                connection.execute("INSERT INTO bodies VALUES (?, ?)", (began, _body(number)))
                commits.append(time.perf_counter() - began)
                began = time.perf_counter()
                async with aiohttp.ClientSession() as session:
                    body = {"content": "a benchmark"}
                    async with session.post(f"{discord.url}?wait=true", json=body) as answer:
                        await answer.read()
                posts.append(time.perf_counter() - began)
        connection.close()
    return median(commits) + median(posts)


def measure(rounds: int, times: int = 30) -> tuple[list[float], list[float], list[float]]:
    """Medians of each round, in turn: with an empty store, with a full one, and the floor."""
    empty, full, floors = [], [], []
    for _ in range(rounds):
        empty.append(median(asyncio.run(cards(times, 0))))
        full.append(median(asyncio.run(cards(times, STORED))))
        floors.append(asyncio.run(floor(times)))
    return empty, full, floors
