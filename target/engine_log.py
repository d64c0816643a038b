"""A container's log as the Engine sends it, in large pieces, over a connection of its own.

The Engine writes each entry by itself. Asked in HTTP/1.0 it sends them as they are, without a chunk
around each; and a reader that waits a moment between two reads gets many with one call. What it does
not read stays in the kernel's buffer, and then the Engine waits: no backlog is ever held here.
Format: Docker Engine API, "Get container logs"; RFC 9112, 2.3 and 7.1 for HTTP.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from target.engine import EngineError
from target.engine_stream import parse_host

READ_BYTES = 64 * 1024
BUSY_BYTES = 8 * 1024
BUSY_SECONDS = 0.001
"""Pause after a read that found much: about as long as the Engine takes to fill the kernel's buffer."""
QUIET_SECONDS = 0.05
_MOST_HEAD_BYTES = 64 * 1024
_MOST_CHUNK_LINE_BYTES = 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)


class Unchunker:
    """Takes the framing off a chunked body, for a proxy that sends one all the same."""

    def __init__(self) -> None:
        self._data = b""
        self._left = 0
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """Raises ValueError where it is not framed."""
        data, at, parts = self._data + data, 0, []
        while not self.ended:
            if self._left > 2:
                piece = data[at : at + self._left - 2]
                parts.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left > 2:
                    break
            if self._left:
                if len(data) - at < 2:
                    break
                at += 2
                self._left = 0
            end = data.find(b"\r\n", at, at + _MOST_CHUNK_LINE_BYTES)
            if end < 0:
                if len(data) - at >= _MOST_CHUNK_LINE_BYTES:
                    raise ValueError("a chunk's line has no end")
                break
            size = int(data[at:end].partition(b";")[0], 16)
            at = end + 2
            self.ended = size == 0
            self._left = size + 2
        self._data = data[at:]
        return b"".join(parts)


class EngineLog:
    """An open log. ``read`` gives what has come; nothing when it has ended."""

    def __init__(
        self, connection: socket.socket, what: str, first: bytes, *, chunked: bool
    ) -> None:
        self._socket = connection
        self._what = what
        self._first = first
        self._unchunker = Unchunker() if chunked else None
        self._pause_seconds = 0.0

    async def read(self) -> bytes:
        """Raises EngineError."""
        while True:
            data = self._first or await self._receive()
            self._first = b""
            if self._unchunker is None or not data:
                return data
            try:
                body = self._unchunker.feed(data)
            except ValueError as error:
                raise EngineError(f"{self._what}: {error}") from error
            if body or self._unchunker.ended:
                return body

    async def _receive(self) -> bytes:
        await asyncio.sleep(self._pause_seconds)
        try:
            data = await asyncio.get_running_loop().sock_recv(self._socket, READ_BYTES)
        except OSError as error:
            raise EngineError(f"{self._what}: {error.strerror or error}") from error
        self._pause_seconds = BUSY_SECONDS if len(data) >= BUSY_BYTES else QUIET_SECONDS
        return data


@asynccontextmanager
async def open_log(
    host: str, container_id: str, since_nano: int, answer_seconds: float = 10.0
) -> AsyncIterator[EngineLog]:
    """Follow a container's log from ``since_nano`` (included) on, each entry with its RFC 3339 stamp.

    It ends when the container stops. Raises EngineError, also for an https host: this speaks no TLS.
    """
    what = f"log of {container_id[:12]}"
    since = f"{since_nano // 10**9}.{since_nano % 10**9:09d}"
    path = f"/containers/{container_id}/logs?follow=1&stdout=1&stderr=1&timestamps=1&since={since}"
    connection: socket.socket | None = None
    try:
        try:
            async with asyncio.timeout(answer_seconds):
                connection, name = await _connect(host)
                request = f"GET {path} HTTP/1.0\r\nHost: {name}\r\n\r\n"
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(connection, request.encode())
                head, first = await _head(connection)
        except (OSError, TimeoutError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise EngineError(f"{what}: the Engine at {host} does not answer ({why})") from error
        status = _STATUS.match(head)
        if status is None or status[1] != b"200":
            raise _refusal(what, int(status[1]) if status else 0, first)
        chunked = _CHUNKED.search(head) is not None
        yield EngineLog(connection, what, first, chunked=chunked)
    finally:
        if connection is not None:
            connection.close()


async def _connect(host: str) -> tuple[socket.socket, str]:
    path, base = parse_host(host)
    if base.startswith("https"):
        raise EngineError(f"DOCKER_HOST={host}: a log is not read over TLS this way")
    url = urlsplit(base)
    name = url.netloc
    if path is not None:
        return await _connected(socket.AF_UNIX, path), name
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.hostname, url.port or 80, type=socket.SOCK_STREAM)
    family, _, _, _, address = found[0]
    return await _connected(family, address), name


async def _connected(family: int, address: object) -> socket.socket:
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, address)  # type: ignore[arg-type]
    except BaseException:  # a cancelled task too must not leave its socket open
        connection.close()
        raise
    return connection


async def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The answer's head and what came behind it."""
    data = b""
    loop = asyncio.get_running_loop()
    while b"\r\n\r\n" not in data:
        more = await loop.sock_recv(connection, READ_BYTES)
        data += more
        if not more or len(data) > _MOST_HEAD_BYTES:
            raise ConnectionResetError(0, "no HTTP answer")
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _refusal(what: str, status: int, body: bytes) -> EngineError:
    words = body[:500].decode(errors="replace").strip()
    return EngineError(f"{what}: the Engine answers {status}: {words}", missing=status == 404)
