"""How long Alertmanager waits for its answer while pictures are drawn without a pause, and without any."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry

from receiver.clock import SystemClock
from receiver.pictures import studio
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.store.database import reading
from target.engine import Engine
from tests.bench.webhooks import body, listen

REQUESTS, PAUSE = 250, 0.02
"""Of a round, one after the other, with seconds between them: longer than two pictures take."""
DRAWN = "SELECT coalesce(sum(number), 0) FROM pictures"


@asynccontextmanager
async def prometheus() -> AsyncIterator[str]:
    """Answers like one whose rule compares a curve that rises with a number."""

    async def rules(_request: web.Request) -> web.Response:
        rule = {"name": "Bench", "query": "bench > 0.5", "labels": {}, "annotations": {}}
        return web.json_response({"data": {"groups": [{"rules": [rule]}]}})

    async def query(_request: web.Request) -> web.Response:
        return web.json_response({"data": {"result": []}})

    async def query_range(request: web.Request) -> web.Response:
        begin, step = float(request.query["start"]), float(request.query["step"])
        values: list[Any] = [[begin + n * step, str(n / 240)] for n in range(240)]
        return web.json_response({"data": {"result": [{"metric": {}, "values": values}]}})

    application = web.Application()
    application.router.add_get("/api/v1/rules", rules)
    application.router.add_get("/api/v1/query", query)
    application.router.add_get("/api/v1/query_range", query_range)
    runner, url = await listen(application)
    try:
        yield url.removesuffix("/alerts")
    finally:
        await runner.cleanup()


async def latency(url: str | None) -> float:
    """The median of a round in seconds; with a Prometheus at ``url`` pictures are drawn meanwhile."""
    with tempfile.TemporaryDirectory() as directory:
        values = {"STATE_DIR": directory, "DRY_RUN": True, "PROMETHEUS_URL": url}
        settings = ReceiverSettings.model_validate({k: v for k, v in values.items() if v})
        engine = Engine("unix:///nonexistent")
        receiver = Receiver(settings, engine, CollectorRegistry(), SystemClock())
        runner, alerts = await listen(await receiver.start())
        try:
            async with aiohttp.ClientSession() as session:
                waited = [await one(session, alerts, number) for number in range(REQUESTS)]
        finally:
            await runner.cleanup()
            await receiver.stop()
        with reading(settings.database_path) as c:
            drawn = c.execute(DRAWN).fetchone()[0]
        if (drawn > 0) != (url is not None):
            raise RuntimeError(f"{drawn} pictures were drawn")
    return statistics.median(waited)


async def one(session: aiohttp.ClientSession, alerts: str, number: int) -> float:
    await asyncio.sleep(PAUSE)
    data = body(number, 1).replace(b'"severity": "info"', b'"severity": "warning"')
    began = time.perf_counter()
    async with session.post(
        alerts, data=data, headers={"Content-Type": "application/json"}
    ) as answer:
        if answer.status != 200:
            raise RuntimeError(f"HTTP {answer.status}: {await answer.text()}")
    return time.perf_counter() - began


async def _pairs(rounds: int) -> list[tuple[float, float]]:
    async with prometheus() as url:
        return [(await latency(url), await latency(None)) for _ in range(rounds)]


def measure(rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each round, in turn: while pictures are drawn, and without."""
    pause, most = studio.PAUSE_SECONDS, studio.MOST_AN_HOUR
    studio.PAUSE_SECONDS, studio.MOST_AN_HOUR = 0.0, 10_000
    try:
        pairs = asyncio.run(_pairs(rounds))
    finally:
        studio.PAUSE_SECONDS, studio.MOST_AN_HOUR = pause, most
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
