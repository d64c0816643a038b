"""How much of what was sent is in memory: many senders, or large bodies, cannot take all of it.

What does not fit is refused at once, so that the sender comes again, as Alertmanager does after a 503.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

FREE_BYTES = 64 * 1024
"""Of each body, while it arrives: what is usual is never refused because others send much."""


MOST_WHOLE = 128
"""Bodies that are parsed and committed at once: more of them would only keep everybody else waiting."""


class BusyError(Exception):
    """There is no room for it now."""


class Room:
    """``most`` bytes of bodies, and as many bodies."""

    def __init__(self, most: int, bodies: int) -> None:
        self._bytes_left = most
        self._bodies_left = bodies

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Raises BusyError where ``size`` bytes more do not fit."""
        if self._bodies_left < 1 or size > self._bytes_left:
            raise BusyError
        self._bodies_left -= 1
        self._bytes_left -= size
        try:
            yield
        finally:
            self._bodies_left += 1
            self._bytes_left += size


class InHand:
    """Two rooms: bodies that arrive slowly do not take the place of those that are whole."""

    def __init__(self, longest: int) -> None:
        """``longest`` body in bytes."""
        self._longest = longest
        self._arriving = Room(4 * longest, bodies=256)
        self._whole = Room(4 * longest, bodies=MOST_WHOLE)

    @contextmanager
    def whole(self, body: bytes) -> Iterator[None]:
        """While it is parsed and committed. Raises BusyError."""
        with self._whole.holding(len(body)):
            yield

    async def read(self, request: web.Request) -> bytes:
        """The body. Raises BusyError, HTTPRequestEntityTooLarge, and what aiohttp raises of a broken one."""
        body = bytearray()
        while len(body) <= FREE_BYTES:
            chunk = await request.content.readany()
            if not chunk:
                return bytes(body)
            body += chunk
            self._check(len(body))
        # Its whole length is counted from here on: nobody tells the truth about it beforehand.
        with self._arriving.holding(self._longest):
            while chunk := await request.content.readany():
                body += chunk
                self._check(len(body))
        return bytes(body)

    def _check(self, length: int) -> None:
        if length > self._longest:
            raise web.HTTPRequestEntityTooLarge(max_size=self._longest, actual_size=length)
