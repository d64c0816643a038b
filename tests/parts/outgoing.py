"""What the tests of every way out share: a clock, odd servers, and all that an exception could give away."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from receiver.telling.delivery import DeliveryError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Time:
    """A clock that only a wait moves on."""

    now: float = 1_772_330_400.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


async def refusal(call: Awaitable[object]) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await call
    return caught.value


def unused_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def server(aiohttp_server: AiohttpServer, handler: Handler) -> str:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    running = await aiohttp_server(application)
    return str(running.make_url("")).rstrip("/")


def answering(status: int, text: str, **headers: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return handler


def everything(error: BaseException | None) -> list[str]:
    """All that a logger could print of an exception; our own frames with their locals."""
    texts: list[str] = []
    while error is not None:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [frame for frame in trace.stack if "/tests/" not in frame.filename]
        texts += [repr(error), str(error), *(repr(frame.locals) for frame in ours)]
        error = error.__cause__ or error.__context__
    return texts
