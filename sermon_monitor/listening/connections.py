"""Who is connected to a listener, and how long each may take: being slow or many keeps nobody else out.

aiohttp has no time for a request's head, nor for whoever does not read an answer, and counts nobody. So
each of its protocols is wrapped in one that does; it changes nothing of what is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from aiohttp import web

State = Literal["head", "body", "work", "answer", "idle"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MAY_GO: tuple[tuple[State, ...], ...] = (("head", "body"), ("answer", "idle"))
"""Who makes room for a newcomer, in this order; what is being worked at, never."""


@dataclass(frozen=True)
class Limits:
    """Of one listener. What is normal takes a hundredth of these times."""

    most: int = 256
    """Connections at once, those that still shake hands among them."""
    head_seconds: float = 10.0
    """From a request's first byte, or from the connection's beginning, to the end of its head."""
    body_seconds: float = 20.0
    work_seconds: float = 150.0
    """A scrape may take 120 s, if Prometheus allows it that long."""
    answer_seconds: float = 30.0
    """For whoever does not read."""
    idle_seconds: float = 330.0
    """Longer than the 5 minutes after which Prometheus and Alertmanager close by themselves: whoever is
    closed by the other side just as it sends does not know what became of what it sent."""
    lasting: frozenset[str] = frozenset()
    """Paths whose answers go on, and end by themselves."""
    lasting_seconds: float = 660.0


class Cut(Protocol):
    """Told of each connection that was ended: ``slow`` or ``crowded``."""

    def __call__(self, reason: Literal["slow", "crowded"], /) -> object: ...


class Connection(asyncio.Protocol):
    """One of aiohttp's, with a deadline for whatever it is at."""

    def __init__(self, inner: asyncio.Protocol, room: Connections) -> None:
        self._inner = inner
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._request: web.Request | None = None
        self.state: State = "head"
        self.since = self._loop.time()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # of a stream, as the listener is one
        self._room.joined(self)
        self._inner.connection_made(transport)
        self._await("head", self._room.limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        if self.state in ("idle", "answer"):
            self._await("head", self._room.limits.head_seconds)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._room.left(self)
        self._inner.connection_lost(exc)

    def works_at(self, request: web.Request) -> None:
        """The head is there."""
        limits = self._room.limits
        if request.path in limits.lasting:
            self._await("work", limits.lasting_seconds)
        elif request.content.is_eof():
            self._await("work", limits.work_seconds)
        else:
            self._request = request
            self._await("body", limits.body_seconds)

    def has_answered(self) -> None:
        """All that is left is for the other side to read it."""
        self._request = None
        self._await("answer", self._room.limits.answer_seconds)

    def end(self) -> None:
        """At once, whatever it is at."""
        if self.transport is not None:
            self.transport.abort()

    def _await(self, state: State, seconds: float) -> None:
        self.state, self.since = state, self._loop.time()
        self._deadline = self.since + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._look_at(self._deadline)

    def _look_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:  # it has gone on since the timer was set
            self._look_at(self._deadline)
        elif self.state == "body" and self._request and self._request.content.is_eof():
            self._await("work", self._room.limits.work_seconds)
        elif self.state == "answer" and self._has_been_read():
            self._await("idle", self._room.limits.idle_seconds)
        elif self.state == "idle":
            self.end()
        else:
            self._room.cut(self, "slow")

    def _has_been_read(self) -> bool:
        return self.transport is not None and self.transport.get_write_buffer_size() == 0


class Connections:
    """Everybody at one listener. ``told`` hears of each that was cut off."""

    def __init__(self, limits: Limits, told: Cut) -> None:
        self.limits = limits
        self._told = told
        self._open: dict[asyncio.BaseTransport | None, Connection] = {}
        self._opening: dict[asyncio.Task[None], float] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._opening)

    def admit(self) -> bool:
        """Whether one more may come in; where it is full, somebody who only waits goes for it."""
        if len(self) < self.limits.most:
            return True
        if self._make_room():
            return True
        self._told("crowded")
        return False

    def opening(self, task: asyncio.Task[None]) -> None:
        """It shakes hands."""
        self._opening[task] = asyncio.get_running_loop().time()
        task.add_done_callback(lambda done: self._opening.pop(done, None))

    def joined(self, one: Connection) -> None:
        self._open[one.transport] = one

    def left(self, one: Connection) -> None:
        self._open.pop(one.transport, None)

    def cut(self, one: Connection, reason: Literal["slow", "crowded"]) -> None:
        self.left(one)  # it counts no more, though the loop has still to close it
        self._told(reason)
        one.end()

    def _make_room(self) -> bool:
        """The one that has waited longest goes: whoever means it has sent a request long before."""
        for states in _MAY_GO:
            waiting = [one for one in self._open.values() if one.state in states]
            oldest = min(waiting, key=lambda one: one.since, default=None)
            if states is _MAY_GO[0] and self._opening:
                task, since = next(iter(self._opening.items()))
                if oldest is None or since < oldest.since:
                    self._opening.pop(task)
                    task.cancel()
                    self._told("crowded")
                    return True
            if oldest is not None:
                self.cut(oldest, "crowded")
                return True
        return False

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every request: what its connection is at."""
        one = self._open.get(request.transport)
        if one is None:
            return await handler(request)
        one.works_at(request)
        try:
            return await handler(request)
        finally:
            one.has_answered()
