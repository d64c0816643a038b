"""The Engine's two endless answers: its events and its containers' logs.

Spoken directly over HTTP with aiohttp, because the docker SDK reads streams with blocking sockets.
Formats: Docker Engine API, "Monitor events", "Get container logs" and, for the framing,
"Attach to a container: stream format".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote

import aiohttp

from target.engine import EngineError
from target.engine_frames import (
    CHANGES,
    MAX_EVENT_BYTES,
    Event,
    FrameParser,
    LineParser,
    parse_event,
)


def parse_host(host: str) -> tuple[str | None, str]:
    """(socket path or None, base URL) of a DOCKER_HOST: unix://, http+unix://, tcp://, http://, https://."""
    scheme, separator, rest = host.partition("://")
    if separator and rest:
        if scheme in ("unix", "http+unix"):
            path = unquote(rest)
            return (path if path.startswith("/") else "/" + path), "http://engine"
        if scheme in ("tcp", "http"):
            return None, f"http://{rest.rstrip('/')}"
        if scheme == "https":
            return None, f"https://{rest.rstrip('/')}"
    raise EngineError(f"DOCKER_HOST={host}: allowed: unix:///PATH, tcp://HOST:PORT, http(s)://…")


def _seconds(nano: int) -> str:
    """A time as the Engine's ``since`` takes it."""
    return f"{nano // 10**9}.{nano % 10**9:09d}"


class EngineStream:
    """Follows one Engine. Each stream has its own connection, closed with its context."""

    def __init__(self, host: str, answer_seconds: float = 10.0) -> None:
        """``answer_seconds`` bounds connecting and the answer's head; an open stream may be silent for ever."""
        self.host = host
        self.answer_seconds = answer_seconds

    @asynccontextmanager
    async def events(self, since_nano: int = 0) -> AsyncIterator[AsyncIterator[Event]]:
        """CHANGES of containers from now on; before them those since ``since_nano`` that the Engine still has.

        It keeps its last 256. It listens once the context is entered. Raises EngineError.
        """
        query = {"filters": json.dumps({"type": ["container"], "event": CHANGES})}
        if since_nano:
            query["since"] = _seconds(since_nano)
        async with self._open("/events", query, "events") as answer:
            yield self._events(answer)

    @asynccontextmanager
    async def logs(
        self, container_id: str, since_nano: int = 0, *, tty: bool = False
    ) -> AsyncIterator[AsyncIterator[tuple[int, bytes]]]:
        """(stream, entry) of a container's log from ``since_nano`` (included) on, each with its RFC 3339 stamp.

        An entry is one write of at most 16 KiB: only the last of a longer line ends in a newline. A
        TTY has one stream, 1, cut at its newlines. Ends when the container stops. Raises EngineError.
        """
        query = {
            "follow": "1",
            "stdout": "1",
            "stderr": "1",
            "timestamps": "1",
            "since": _seconds(since_nano),
        }
        path = f"/containers/{container_id}/logs"
        async with self._open(path, query, f"log of {container_id[:12]}") as answer:
            yield self._tty_entries(answer) if tty else self._entries(answer)

    @asynccontextmanager
    async def _open(
        self, path: str, query: Mapping[str, str], what: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        socket_path, base = parse_host(self.host)
        connector = aiohttp.UnixConnector(socket_path) if socket_path else aiohttp.TCPConnector()
        no_limit = aiohttp.ClientTimeout(total=None, sock_read=None)
        async with aiohttp.ClientSession(connector=connector, timeout=no_limit) as session:
            try:
                async with asyncio.timeout(self.answer_seconds):
                    answer = await session.get(base + path, params=query, allow_redirects=False)
                    refused = b"" if answer.status == 200 else await answer.content.read(500)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise self._silent(what, error) from error
            try:
                if answer.status != 200:
                    text = refused.decode(errors="replace").strip()
                    raise EngineError(
                        f"{what}: the Engine answers {answer.status}: {text}",
                        missing=answer.status == 404,
                    )
                yield answer
            finally:
                answer.close()

    def _silent(self, what: str, error: BaseException) -> EngineError:
        why = getattr(error, "strerror", None) or type(error).__name__
        return EngineError(f"{what}: the Engine at {self.host} does not answer ({why})")

    async def _chunks(self, answer: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.content.iter_any():
                yield chunk
                # A backlog of megabytes is always ready: let the others have their turn in between.
                await asyncio.sleep(0)
        except (aiohttp.ClientError, OSError) as error:
            raise self._silent(what, error) from error

    async def _events(self, answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        lines = LineParser(MAX_EVENT_BYTES)
        async for chunk in self._chunks(answer, "events"):
            for line in lines.feed(chunk):
                if line.strip() and (event := parse_event(line)) is not None:
                    yield event

    async def _entries(self, answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[int, bytes]]:
        frames = FrameParser()
        async for chunk in self._chunks(answer, "log"):
            for stream, payload in frames.feed(chunk):
                if stream == 3:
                    words = payload[:200].decode(errors="replace").strip()
                    raise EngineError(f"log: the Engine says: {words}")
                yield stream, payload

    async def _tty_entries(
        self, answer: aiohttp.ClientResponse
    ) -> AsyncIterator[tuple[int, bytes]]:
        lines = LineParser()
        async for chunk in self._chunks(answer, "log"):
            for line in lines.feed(chunk):
                yield 1, line
