"""Who makes the fire: webhooks at a rate, connections that are slow on purpose, scrapes, and one who looks what is answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

import aiohttp

from tests.bench.webhooks import body

JSON = {"Content-Type": "application/json"}
HEALTHZ_SECONDS, METRICS_SECONDS = 5.0, 10.0
"""Deadlines: of a load balancer's look, and Prometheus' own for a scrape."""


@dataclass
class Seen:
    """``kept``: numbers of the webhooks that were answered 200. ``cut``: connections that were ended without an
    answer, as the crowded end those of who waits: whoever sent comes again. Times in seconds."""

    answers: Counter[str] = field(default_factory=Counter)
    kept: set[int] = field(default_factory=set)
    cut: int = 0
    healthz: list[float] = field(default_factory=list)
    metrics: list[float] = field(default_factory=list)
    late: list[str] = field(default_factory=list)


def fingerprint(number: int) -> str:
    """Of the one alert in ``body(number, 1)``."""
    return f"{number:08x}{0:08x}"


async def webhooks(url: str, rate: float, numbers: Iterator[int], seen: Seen) -> None:
    """``rate`` a second by the clock, whatever is answered; with no rate as fast as 16 in turn go."""
    connector = aiohttp.TCPConnector(limit=200)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def one(number: int) -> None:
            try:
                async with session.post(f"{url}/alerts", data=body(number, 1), headers=JSON) as a:
                    await a.read()
                    seen.answers[str(a.status)] += 1
                    if a.status == 200:
                        seen.kept.add(number)
            except (aiohttp.ClientError, OSError):
                seen.cut += 1

        async def in_turn() -> None:
            while True:
                await one(next(numbers))

        async with asyncio.TaskGroup() as group:
            if not rate:
                for _ in range(16):
                    group.create_task(in_turn())
                return
            began = time.monotonic()
            for sent in itertools.count():
                ahead = began + sent / rate - time.monotonic()
                if ahead > 0:
                    await asyncio.sleep(ahead)
                elif sent % 50 == 0:
                    await asyncio.sleep(0)
                group.create_task(one(next(numbers)))


async def slow(address: str, seed: int) -> None:
    """One that connects, says little by little what is no whole request, and comes again."""
    chance, parts = Random(seed), urlsplit(f"//{address}")
    texts = (
        b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 10_000,
        b"POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n[",
        b"",
    )
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                for byte in chance.choice(texts)[:4000] or [0] * 20:
                    if byte:
                        writer.write(bytes((byte,)))
                        await writer.drain()
                    await asyncio.sleep(chance.uniform(0.01, 1.0))
            finally:
                writer.close()
        await asyncio.sleep(chance.uniform(0.05, 0.5))


async def scrapes(url: str, rate: float, seen: Seen) -> None:
    """``rate`` a second, each on a connection that is kept if there is one."""
    gzip = {"Accept-Encoding": "gzip"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=100)) as session:

        async def one() -> None:
            try:
                async with session.get(f"{url}/metrics", headers=gzip) as answer:
                    await answer.read()
                    seen.answers[f"scrape {answer.status}"] += 1
            except (aiohttp.ClientError, OSError):
                seen.cut += 1

        async with asyncio.TaskGroup() as group:
            began = time.monotonic()
            for sent in itertools.count():
                await asyncio.sleep(max(0.0, began + sent / rate - time.monotonic()))
                group.create_task(one())


async def look(exporter: str, receiver: str, pause: float, seen: Seen) -> None:
    """Ask as whoever relies on it does, each time on a new connection, and note what comes late."""
    while True:
        await _timed(f"{exporter}/healthz", HEALTHZ_SECONDS, seen.healthz, seen)
        await _timed(f"{receiver}/healthz", HEALTHZ_SECONDS, seen.healthz, seen)
        await _timed(f"{exporter}/metrics", METRICS_SECONDS, seen.metrics, seen)
        await asyncio.sleep(pause)


async def _timed(url: str, within: float, times: list[float], seen: Seen) -> None:
    began = time.monotonic()
    try:
        async with (
            asyncio.timeout(within),
            aiohttp.ClientSession() as session,
            session.get(url) as answer,
        ):
            await answer.read()
            if answer.status != 200:
                seen.late.append(f"{url}: {answer.status}")
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        seen.late.append(f"{url}: {type(error).__name__} after {time.monotonic() - began:.1f} s")
    times.append(time.monotonic() - began)


async def for_seconds(seconds: float, *work: Callable[[], Awaitable[None]]) -> None:
    """All of it at once, for so long."""

    async def run(one: Callable[[], Awaitable[None]]) -> None:
        await one()

    tasks = [asyncio.create_task(run(one)) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
