"""A listener among the slow and the many: whoever asks properly is answered, and nobody stays for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from sermon_monitor.listening.connections import Connections, Limits
from sermon_monitor.listening.listener import Listener

WITHIN = 60.0
QUICK = Limits(
    head_seconds=0.3, body_seconds=0.3, work_seconds=0.3, answer_seconds=0.3, idle_seconds=0.3
)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = 8 * 1024 * 1024


@dataclass
class Served:
    port: int
    room: Connections
    go_on: asyncio.Event
    cut: list[str] = field(default_factory=list)
    worked: int = 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1024)

    async def until_cut(self, wanted: list[str]) -> None:
        async with asyncio.timeout(WITHIN):
            while self.cut != wanted or len(self.room):  # noqa: ASYNC110 - it lies behind a socket
                await asyncio.sleep(0.01)


@asynccontextmanager
async def served(limits: Limits) -> AsyncIterator[Served]:
    cut: list[str] = []
    room = Connections(limits, cut.append)
    there = Served(0, room, asyncio.Event(), cut)

    async def wait(_: web.Request) -> web.Response:
        there.worked += 1
        await there.go_on.wait()
        return web.Response(text="done")

    async def take(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    app = web.Application(middlewares=[room.middleware])
    app.router.add_get("/", small)
    app.router.add_get("/large", large)
    app.router.add_get("/wait", wait)
    app.router.add_get("/lasting", wait)
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    listener = Listener(runner.server, room)
    await listener.start("127.0.0.1", 0)
    (there.port,) = listener.ports
    try:
        yield there
    finally:
        there.go_on.set()
        listener.stop()
        await runner.cleanup()


async def small(_: web.BaseRequest) -> web.Response:
    return web.Response(text="ok")


async def large(_: web.BaseRequest) -> web.Response:
    return web.Response(text="x" * LARGE)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nslow",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nslo",
        b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_whoever_is_slow_is_cut_off(sent: bytes) -> None:
    async with served(QUICK) as there:
        _, writer = await there.connect()
        writer.write(sent)
        await there.until_cut(["slow"])
        writer.close()


async def test_a_head_that_never_ends_is_cut_off_though_it_goes_on() -> None:
    async with served(QUICK) as there:
        _, writer = await there.connect()
        writer.write(b"GET / HTTP/1.1\r\n")
        async with asyncio.timeout(WITHIN):
            while not there.cut:
                writer.write(b"X: y\r\n")
                await asyncio.sleep(0.05)
        await there.until_cut(["slow"])
        writer.close()


async def test_whoever_has_nothing_more_to_say_goes_without_a_word() -> None:
    async with served(QUICK) as there:
        reader, writer = await there.connect()
        writer.write(GET * 3)
        text = await asyncio.wait_for(reader.read(-1), WITHIN)
        assert text.count(b"200 OK") == 3
        await there.until_cut([])
        writer.close()


async def test_one_connection_for_many_requests() -> None:
    """Longer in all than any of the times, but for none of its parts."""
    async with served(QUICK) as there, aiohttp.ClientSession() as session:
        for _ in range(20):
            async with session.post(f"http://127.0.0.1:{there.port}/", data=b"x" * 9) as answer:
                assert await answer.text() == "9"
            await asyncio.sleep(0.05)
        assert there.cut == []
        assert len(there.room) == 1


async def test_what_lasts_may_last() -> None:
    limits = Limits(work_seconds=0.2, lasting=frozenset({"/lasting"}))
    async with served(limits) as there:
        _, lasting = await there.connect()
        lasting.write(b"GET /lasting HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            while not there.worked:  # noqa: ASYNC110 - it lies behind a socket
                await asyncio.sleep(0.01)
        _, slow = await there.connect()
        slow.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            while there.cut != ["slow"]:  # noqa: ASYNC110 - it lies behind a socket
                await asyncio.sleep(0.01)
        assert len(there.room) == 1
        slow.close()
        lasting.close()


async def test_a_crowd_that_says_nothing_is_in_nobodys_way() -> None:
    async with served(Limits(most=8)) as there:
        working = [await there.connect() for _ in range(4)]
        for _, writer in working:
            writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            while there.worked < 4:  # noqa: ASYNC110 - it lies behind a socket
                await asyncio.sleep(0.01)
        crowd = []
        for _ in range(100):
            crowd.append(await there.connect())
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{there.port}/") as answer,
            ):
                assert answer.status == 200
            assert len(there.room) <= 8
        assert set(there.cut) == {"crowded"}
        there.go_on.set()
        for reader, _ in working:
            assert (await asyncio.wait_for(reader.readline(), WITHIN)).endswith(b"200 OK\r\n")
        for _, writer in (*crowd, *working):
            writer.close()


async def test_where_all_work_nobody_more_is_let_in() -> None:
    async with served(Limits(most=2)) as there:
        working = [await there.connect() for _ in range(2)]
        for _, writer in working:
            writer.write(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            while there.worked < 2:  # noqa: ASYNC110 - it lies behind a socket
                await asyncio.sleep(0.01)
        reader, writer = await there.connect()
        writer.write(GET)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), WITHIN)
        assert there.cut == ["crowded"]
        for _, one in (*working, (reader, writer)):
            one.close()


async def test_an_address_that_is_taken_leaves_nothing_behind() -> None:
    async with served(QUICK) as there:
        runner = web.ServerRunner(web.Server(small))
        await runner.setup()
        assert runner.server is not None
        second = Listener(runner.server, there.room)
        with pytest.raises(OSError, match="in use"):
            await second.start("127.0.0.1", there.port)
        assert second.ports == ()
        await runner.cleanup()
