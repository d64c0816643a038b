"""Webhooks accepted a second, against a bare aiohttp handler with pydantic and one INSERT a request."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from receiver.clock import SystemClock
from receiver.hearing.alertmanager import Webhook
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from target.engine import Engine

CONNECTIONS = 16
REQUESTS = 1500
STARTED = 2.0
"""Seconds after which what a start does beside the webhooks is over; a hundred large bodies take less than that."""


def body(number: int, alerts: int) -> bytes:
    """A group of firing alerts; every body is news."""
    now = datetime.now(UTC).isoformat()
    made = [
        {
            "status": "firing",
            "labels": {
                "alertname": "Bench",
                "severity": "info",
                "service": f"s{number % 50}",
                "n": f"{number}.{i}",
            },
            "annotations": {"summary": "a benchmark", "description": "x" * 400},
            "startsAt": now,
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": f"{number:08x}{i:08x}",
        }
        for i in range(alerts)
    ]
    whole: dict[str, Any] = {
        "version": "4",
        "groupKey": f"bench-{number}",
        "status": "firing",
        "receiver": "bench",
        "alerts": made,
    }
    return json.dumps(whole).encode()


async def load(
    url: str, alerts: int, requests: int, first: int = 0, connections: int = CONNECTIONS
) -> float:
    """Requests a second over ``connections``; the bodies are numbered from ``first``."""
    bodies = iter([body(number, alerts) for number in range(first, first + requests)])

    async def one(session: aiohttp.ClientSession) -> None:
        for data in bodies:
            async with session.post(
                url, data=data, headers={"Content-Type": "application/json"}
            ) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"HTTP {answer.status}: {await answer.text()}")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        began = time.monotonic()
        await asyncio.gather(*(one(session) for _ in range(connections)))
        return requests / (time.monotonic() - began)


async def listen(application: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    await asyncio.sleep(STARTED)
    return runner, f"http://127.0.0.1:{port}/alerts"


async def ours(alerts: int, requests: int, *firsts: int, connections: int = CONNECTIONS) -> float:
    """Of the last of several loads, whose bodies are numbered from each of ``firsts``; of one from 0 without any."""
    with tempfile.TemporaryDirectory() as directory:
        settings = ReceiverSettings.model_validate({"STATE_DIR": directory, "DRY_RUN": True})
        receiver = Receiver(
            settings, Engine("unix:///nonexistent"), CollectorRegistry(), SystemClock()
        )
        runner, url = await listen(await receiver.start())
        try:
            rates = [
                await load(url, alerts, requests, first, connections) for first in firsts or (0,)
            ]
            return rates[-1]
        finally:
            await runner.cleanup()
            await receiver.stop()


async def floor(alerts: int, requests: int, connections: int = CONNECTIONS) -> float:
    """Parsed and committed with synchronous=FULL, a commit a request, in the event loop; nothing else."""
    with tempfile.TemporaryDirectory() as directory:
        connection = sqlite3.connect(Path(directory) / "floor.sqlite3", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE bodies (at REAL, body BLOB)")

        async def handle(request: web.Request) -> web.Response:
            raw = await request.read()
            Webhook.model_validate_json(raw)
            connection.execute("INSERT INTO bodies VALUES (?, ?)", (time.time(), raw))
            return web.Response(text="ok")

        application = web.Application(client_max_size=16 << 20)
        application.router.add_post("/alerts", handle)
        runner, url = await listen(application)
        try:
            return await load(url, alerts, requests, connections=connections)
        finally:
            await runner.cleanup()
            connection.close()


def measure(alerts: int, rounds: int) -> tuple[list[float], list[float]]:
    """Requests a second of each round: ours, and the floor, in turn."""
    requests = max(100, REQUESTS // alerts)
    pairs = [
        (asyncio.run(ours(alerts, requests)), asyncio.run(floor(alerts, requests)))
        for _ in range(rounds)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def repeats(alerts: int, rounds: int) -> tuple[list[float], list[float]]:
    """Requests a second of each round, in turn: of repeats, and of news, each with as much in the store before."""
    requests = max(100, REQUESTS // alerts)
    pairs = [
        (
            asyncio.run(ours(alerts, requests, 0, 0)),
            asyncio.run(ours(alerts, requests, 0, requests)),
        )
        for _ in range(rounds)
    ]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
