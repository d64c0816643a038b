"""What both stand-ins are: a real HTTP server on loopback whose trouble can be scripted.

A stand-in lives in the test's own event loop (``async with``) or in a thread of its own
(``with Discord.in_thread() as discord``), so that a blocking test or a whole process can call it.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

Log = Callable[[str], None]
Clock = Callable[[], float]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived, with what it was answered; 0 when the answer was withheld."""

    at: float
    method: str
    path: str
    headers: Mapping[str, str]
    status: int


@dataclass
class _Trouble:
    """Something that happens to the next ``times`` requests, of ``method``, with ``part`` in their path and
    of the content type ``kind`` only when these are set."""

    times: int
    method: str | None
    answer: Callable[[], web.Response] | None = None
    stall_seconds: float = 0.0
    part: str = ""
    kind: str = ""

    def applies(self, request: web.Request) -> bool:
        right = self.method in (None, request.method) and self.part in request.path
        return self.times > 0 and right and self.kind in ("", request.content_type)


class StandIn(ABC):
    """Base: start, stop, wait for a condition, and trouble. Subclasses give the application.

    ``clock`` gives seconds since the epoch and rules every limit and age; ``log`` gets one line
    a request. ``name``: under which callers know it, in place of HOST:PORT; ``tls``: it speaks https.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Log | None = None,
        clock: Clock = time.time,
        tls: ssl.SSLContext | None = None,
        name: str | None = None,
    ) -> None:
        self._tls = tls
        self._name = name
        self.host = host
        self.port = port
        self.clock = clock
        self.requests: list[Seen] = []
        self._log = log
        self._failures: deque[_Trouble] = deque()
        self._stalls: deque[_Trouble] = deque()
        self._losses: deque[_Trouble] = deque()
        self._lies: deque[_Trouble] = deque()
        self._runner: web.AppRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._condition = threading.Condition()
        self._turn = asyncio.Event()
        self._stopping = asyncio.Event()

    @abstractmethod
    def application(self) -> web.Application:
        """The application with its routes; made anew at each start."""

    @property
    def base_url(self) -> str:
        """``http://HOST:PORT`` (or ``https://NAME``), known once started."""
        return f"{'https' if self._tls else 'http'}://{self._name or f'{self.host}:{self.port}'}"

    async def start(self) -> Self:
        """Bind and serve. Port 0 becomes the port that was given, and stays so over a restart."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        application = self.application()
        application.middlewares.append(self._scripted)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Stop serving; stalled requests are let go. The state stays readable."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._loop = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @classmethod
    @contextmanager
    def in_thread(cls, *args: Any, **kwargs: Any) -> Iterator[Self]:
        """The stand-in, made with these arguments, served by a thread until the block ends."""
        standin = cls(*args, **kwargs)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name=cls.__name__, daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(standin.start(), loop).result(10)
            yield standin
        finally:
            asyncio.run_coroutine_threadsafe(standin.stop(), loop).result(120)
            asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def until(self, condition: Callable[[Self], object], timeout_seconds: float = 10.0) -> None:
        """Block until ``condition(self)`` is true; checked at each change. Raises TimeoutError.

        From asyncio code use ``wait_until``, which does not hold up the loop.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: condition(self), timeout_seconds):
                raise TimeoutError(f"{type(self).__name__}: not within {timeout_seconds} s")

    async def wait_until(
        self, condition: Callable[[Self], object], timeout_seconds: float = 10.0
    ) -> None:
        """As ``until``, from any event loop."""
        await asyncio.to_thread(self.until, condition, timeout_seconds)

    def stall(self, seconds: float, *, times: int = 1, method: str | None = None) -> None:
        """Hold the next ``times`` requests for ``seconds``, then serve them.

        They take effect even when the caller has given up meanwhile, as behind a slow real server.
        """
        self._stalls.append(_Trouble(times, method, stall_seconds=seconds))

    def lose_answer(self, *, times: int = 1, method: str | None = None) -> None:
        """The next ``times`` requests are carried out, then the connection is cut instead of answered."""
        self._losses.append(_Trouble(times, method))

    def lie_next(
        self, status: int, text: str = "", *, times: int = 1, method: str | None = None
    ) -> None:
        """The next ``times`` requests are carried out, and answered as a proxy in between might: with this."""

        def answer() -> web.Response:
            return web.Response(status=status, text=text, content_type="text/html")

        self._lies.append(_Trouble(times, method, answer=answer))

    def calm(self) -> None:
        """No trouble that was scripted is left."""
        for queue in (self._failures, self._stalls, self._losses, self._lies):
            queue.clear()

    def changed(self) -> None:
        """Wake everything that waits for a condition. May be called from any thread."""
        with self._condition:
            self._condition.notify_all()
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop ended between the two lines: nobody waits
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        turn, self._turn = self._turn, asyncio.Event()
        turn.set()

    async def _when(self, condition: Callable[[], object]) -> None:
        """Wait on the server's own loop until ``condition()`` is true."""
        while True:
            turn = self._turn
            if condition():
                return
            await turn.wait()

    async def _call(self, hook: Callable[..., object], *args: object) -> None:
        """Run a hook: a coroutine function on this loop, anything else in a thread."""
        if inspect.iscoroutinefunction(hook):
            await hook(*args)
        else:
            await asyncio.to_thread(hook, *args)

    def _fail_next(
        self,
        answer: Callable[[], web.Response],
        times: int,
        method: str | None,
        *,
        part: str = "",
        kind: str = "",
    ) -> None:
        self._failures.append(_Trouble(times, method, answer=answer, part=part, kind=kind))

    @web.middleware
    async def _scripted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        lost = _take(self._losses, request)
        stalled = _take(self._stalls, request)
        if stalled:
            await self._pause(stalled.stall_seconds)
        failed = _take(self._failures, request)
        lied = None if failed else _take(self._lies, request)
        status = 0
        try:
            answer = failed.answer() if failed and failed.answer else await handler(request)
            if lied and lied.answer:
                answer = lied.answer()
            status = 0 if lost else answer.status
        except web.HTTPException as error:
            status = error.status
            raise
        finally:
            self._record(request, status)
        if lost and request.transport is not None:
            request.transport.abort()
        return answer

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the server lives."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _record(self, request: web.Request, status: int) -> None:
        seen = Seen(self.clock(), request.method, request.path_qs, dict(request.headers), status)
        self.requests.append(seen)
        if self._log is not None:
            self._log(
                f"{type(self).__name__} {request.method} {request.path_qs} -> {status or 'lost'}"
            )
        self.changed()


def _take(queue: deque[_Trouble], request: web.Request) -> _Trouble | None:
    """The first trouble that applies, counted down; spent ones are dropped."""
    for trouble in queue:
        if trouble.applies(request):
            trouble.times -= 1
            if trouble.times == 0:
                queue.remove(trouble)
            return trouble
    return None
