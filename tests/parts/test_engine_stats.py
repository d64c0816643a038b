"""Asking an Engine for stats in the background: only while a scrape misses something, and whatever it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.engine_stats import (
    FRESH_SECONDS,
    LONGEST_FRESH_SECONDS,
    EngineStats,
    fresh_seconds,
)
from target.engine_reader import EngineReader
from tests.unit.test_engine_stats import V1

POLL_SECONDS = 0.02
WITHIN = 60.0
"""Seconds. Ends a broken run; measures nothing."""


class Engine:
    """Answers as it is told; ``asked`` are the ids it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.answer: Callable[[], web.Response] = lambda: web.json_response(V1)
        self.silent_about = ""
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def stats(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["id"])
        assert request.query == {"stream": "false", "one-shot": "true"}
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.flowing.wait()
            if request.match_info["id"] == self.silent_about:
                await asyncio.Event().wait()
        finally:
            self.at_once -= 1
        return self.answer()


@asynccontextmanager
async def asking(engine: Engine, answer_seconds: float = 1.0) -> AsyncIterator[EngineStats]:
    application = web.Application()
    application.router.add_get("/containers/{id}/stats", engine.stats)
    async with TestServer(application) as server:
        reader = EngineReader(f"tcp://{server.host}:{server.port}", answer_seconds)
        stats = EngineStats(reader, str, POLL_SECONDS)
        running = asyncio.create_task(stats.run())
        try:
            yield stats
        finally:
            engine.flowing.set()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - it lies behind HTTP
            await asyncio.sleep(POLL_SECONDS / 2)


async def test_it_is_asked_while_something_is_missed() -> None:
    engine = Engine()
    async with asking(engine) as stats:
        await asyncio.sleep(5 * POLL_SECONDS)
        assert not engine.asked
        stats.want(["one", "two"])
        await until(lambda: stats.known("one") and stats.known("two"))
        assert stats.known("three") is None
        stats.want([])
        await until(lambda: stats.known("one") is None)
        asked = len(engine.asked)
        await asyncio.sleep(5 * POLL_SECONDS)
        assert len(engine.asked) == asked


async def test_not_all_at_once() -> None:
    engine = Engine()
    async with asking(engine) as stats:
        stats.want([f"c{number}" for number in range(50)])
        await until(lambda: all(stats.known(f"c{number}") for number in range(50)))
        assert engine.most_at_once <= 4


async def test_an_answer_is_told_while_another_is_waited_for() -> None:
    engine = Engine()
    engine.silent_about = "one"
    async with asking(engine, answer_seconds=3600.0) as stats:
        stats.want(["one", "two"])
        await until(lambda: stats.known("two"))
        assert stats.known("one") is None


@pytest.mark.parametrize(
    ("round_seconds", "least"), [(0.1, FRESH_SECONDS), (60.0, 120.0), (1e9, 60.0)]
)
def test_an_answer_lasts_until_the_next_one(round_seconds: float, least: float) -> None:
    """Of 200 containers each takes the Engine a second."""
    assert least <= fresh_seconds(round_seconds) <= LONGEST_FRESH_SECONDS


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(status=404, text="No such container"),
        lambda: web.Response(status=500, text="\x1b[31m"),
        lambda: web.Response(text="no JSON"),
        lambda: web.Response(text="[" * 100_000),
        lambda: web.json_response([]),
        lambda: web.json_response({"cpu_stats": {"cpu_usage": {"total_usage": 0}}}),
    ],
)
async def test_what_is_no_answer_is_not_known(answer: Callable[[], web.Response]) -> None:
    engine = Engine()
    engine.answer = answer
    async with asking(engine) as stats:
        stats.want(["one"])
        await until(lambda: len(engine.asked) > 2)
        assert stats.known("one") is None
        engine.answer = lambda: web.json_response(V1)
        await until(lambda: stats.known("one"))


async def test_an_engine_that_hangs() -> None:
    engine = Engine()
    async with asking(engine) as stats:
        stats.want(["one"])
        await until(lambda: stats.known("one"))
        engine.flowing.clear()
        asked = len(engine.asked)
        await until(lambda: len(engine.asked) > asked + 1)
        engine.flowing.set()
        await until(lambda: stats.known("one"))
