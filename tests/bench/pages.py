"""The board's first pages with many incidents stored, against the same with few, in turn."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import aiohttp
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from receiver.clock import SystemClock
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.store import incidents, messages
from receiver.store.database import connect, migrate
from target.engine import Engine

FEW, MANY = 10, 10_000
PAGES = ("/", "/incidents", "/approvals", "/audit")
NOWHERE = "http://127.0.0.1:9"
WARM = 3


def fill(path: Path, count: int) -> None:
    """So many incidents that are over, each with three alerts, a card and ten rows of the trail."""
    connection = connect(path)
    migrate(connection)
    connection.execute("BEGIN")
    for number in range(count):
        at = datetime.now(UTC) - timedelta(days=30) + timedelta(minutes=number)
        made = incidents.open_incident(connection, f"s{number}", "critical", at)
        news = [
            incidents.NewAlert(made, f"{number} {n}", f"Alert{n}", "critical", {"alertname": f"Alert{n}"}, {"summary": "a benchmark"}, at)
            for n in range(3)
        ]  # fmt: skip
        incidents.add_alerts(connection, news, at)
        incidents.end_alerts(connection, [one.fingerprint for one in news], at)
        messages.add_events(connection, [(made, "told", "the card, which rings")] * 10, at)
        connection.execute(
            "INSERT INTO messages (incident_id, kind, notifier, ping, message_id, revision, delivered, due_at, since)"
            " VALUES (?, 'card', 'discord', 0, ?, 3, 3, ?, ?)",
            (made, str(number), at.timestamp(), at.timestamp()),
        )
        incidents.resolve_incident(connection, made, "well", at)
    connection.execute("COMMIT")
    connection.close()


@asynccontextmanager
async def _board(directory: Path, stored: int) -> AsyncIterator[str]:
    fill(directory / "receiver.sqlite3", stored)
    given = {"STATE_DIR": directory, "DRY_RUN": True, "APP_URL": NOWHERE, "MINIO_URL": NOWHERE}
    settings = ReceiverSettings.model_validate(given)
    engine = Engine("unix:///nonexistent")
    receiver = Receiver(settings, engine, CollectorRegistry(), SystemClock())
    try:
        async with TestServer(await receiver.start()) as server:
            yield str(server.make_url("")).rstrip("/")
    finally:
        await receiver.stop()
        engine.close()


async def _seconds(session: aiohttp.ClientSession, url: str) -> float:
    began = time.perf_counter()
    async with session.get(url) as answer:
        await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{url}: {answer.status}")
    return time.perf_counter() - began


async def _measure(rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name) / "few", Path(name) / "many"
        async with (
            _board(few, FEW) as small,
            _board(many, MANY) as large,
            aiohttp.ClientSession() as session,
        ):
            found = {}
            for page in PAGES:
                for url in (small, large) * WARM:
                    await _seconds(session, url + page)
                pairs = [
                    [await _round(session, url + page) for url in (large, small)]
                    for _ in range(rounds)
                ]
                found[page] = ([one[0] for one in pairs], [one[1] for one in pairs])
            return found


async def _round(session: aiohttp.ClientSession, url: str) -> float:
    return median([await _seconds(session, url) for _ in range(15)])


def measure(rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Seconds of each page: with MANY incidents, with FEW."""
    return asyncio.run(_measure(rounds))
