"""The sign of life that goes out: when, how often, and never with its key in a log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from tests.parts.receiver_kit import WITHIN, Running, body, receiver
from tests.parts.watchdog_kit import beat


class Outside:
    """Who notices when we no longer call; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.status = 200
        self.url = ""

    async def called(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path_qs}")
        return web.Response(status=self.status, text=f"you asked for {request.path_qs}")


@asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    there, served = Outside(), web.Application()
    served.router.add_route("*", "/{path:.*}", there.called)
    async with TestServer(served) as server:
        there.url = str(server.make_url("/ping/s3cret-uuid-0123?key=s3cret-key-456"))
        yield there


async def metric(running: Running, line: str) -> None:
    async with asyncio.timeout(WITHIN):
        while line not in running.metrics():  # noqa: ASYNC110 - a metric has no event
            await asyncio.sleep(0.02)


def outcome(name: str, count: int = 1) -> str:
    return f'sermon_monitor_heartbeats_total{{outcome="{name}"}} {count}.0'


async def test_the_sign_of_life_goes_out_when_the_watchdog_comes(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with outside() as there, receiver(tmp_path, HEARTBEAT_URL=there.url) as running:
            await running.post(body())
            await running.get("/healthz")
            assert there.calls == []
            # The first look may come after it: then it is the one that was there before.
            beating = asyncio.create_task(beat(running))
            await metric(running, outcome("sent"))
            beating.cancel()
            assert there.calls == ["GET /ping/s3cret-uuid-0123?key=s3cret-key-456"]
            shown = running.metrics()
    assert "s3cret" not in json.dumps(logs, default=str) + shown
    assert [e["event"] for e in logs].count("the sign of life goes out") == 1


@pytest.mark.parametrize("trouble", ["500", pytest.param("gone", marks=pytest.mark.long)])
async def test_a_sign_of_life_that_does_not_arrive(tmp_path: Path, trouble: str) -> None:
    with capture_logs() as logs:
        async with outside() as there:
            there.status = 500
            url = there.url
            if trouble == "gone":
                url = "http://127.0.0.1:9/ping/s3cret-uuid-0123?key=s3cret-key-456"
            async with receiver(tmp_path, HEARTBEAT_URL=url) as running:
                beating = asyncio.create_task(beat(running))
                await metric(running, outcome("failed"))
                beating.cancel()
                assert (await running.get("/readyz"))[0] == 200
    (said,) = [e for e in logs if e["event"] == "no sign of life went out"]
    assert said["outcome"] == "failed"
    assert "s3cret" not in json.dumps(logs, default=str)


async def test_without_being_ready_there_is_no_sign_of_life(tmp_path: Path) -> None:
    async with outside() as there, receiver(tmp_path, HEARTBEAT_URL=there.url) as running:
        (worker,) = [t for t in running.duty.tasks if t.get_name() == "worker"]
        worker.cancel()
        await asyncio.wait([worker])
        beating = asyncio.create_task(beat(running))
        await metric(running, outcome("withheld"))
        beating.cancel()
        assert there.calls == []
