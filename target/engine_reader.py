"""Short questions to the Engine from the event loop: over kept connections, each with a deadline and a bounded answer.

What discovery and the background collectors ask; nobody waits in a thread for it. Formats: Docker
Engine API, "Ping", "List containers", "Inspect a container", "Get system information".
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp

from target.engine import Container, EngineError, parse_container, sound_id, sound_int
from target.engine_stream import parse_host

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A list of 200 containers has 0.3 MB."""
CONNECTIONS = 8
KEPT_SECONDS = 60.0
"""Longer than the pause between two questions, so that one connection serves them all."""
_CHUNK = 65536
_CLOCK_SLACK_SECONDS = 120.0
"""How far our clock and the Engine's may be apart before a container seems to have been started again."""
_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")
_UP = re.compile(r"Up (?:(\d+|About an?|Less than a) )(second|minute|hour|day|week|month|year)s?\b")
_UNIT_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 7 * 86400,
    "month": 31 * 86400,
    "year": 366 * 86400,
}


@dataclass(frozen=True)
class Listed:
    """One row of the list of containers: enough to see whether an inspection is still true."""

    id: str
    names: tuple[str, ...]
    state: str
    health: str | None
    up_at_most_seconds: float | None
    """It has run for no longer than this; None where the row does not say."""
    size_rw_bytes: int | None = None
    """The writable layer; only where sizes were asked for."""

    def agrees(self, container: Container, now_seconds: float) -> bool:
        """Whether an earlier inspection is still true at the Unix time ``now_seconds``, as far as a list tells."""
        if self.state != container.state or container.name not in self.names:
            return False
        if container.running and self.health != container.health:
            return False
        if self.up_at_most_seconds is None or container.started_at is None:
            return True
        age = now_seconds - container.started_at.timestamp()
        return age <= self.up_at_most_seconds + _CLOCK_SLACK_SECONDS


def parse_listed(rows: object) -> list[Listed]:
    """The answer to "List containers". Raises EngineError where it is none."""
    if not isinstance(rows, list):
        raise EngineError("the Engine's list of containers is no list")
    try:
        return [_listed(row) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EngineError(
            f"the Engine's list of containers cannot be read: {error!r}"[:300]
        ) from error


def _listed(row: Mapping[str, Any]) -> Listed:
    words = str(row.get("Status") or "")
    health = _HEALTH.search(words)
    size = row.get("SizeRw")
    if not isinstance(row["State"], str):
        raise TypeError("State is a text")
    return Listed(
        id=sound_id(row["Id"]),
        names=tuple(str(name).lstrip("/") for name in row.get("Names") or ()),
        state=row["State"],
        health=health.group(1) if health else None,
        up_at_most_seconds=up_at_most(words),
        size_rw_bytes=None if size is None else max(0, sound_int(size)),
    )


def up_at_most(words: str) -> float | None:
    """The longest time that ``Up 3 minutes (healthy)`` may mean, in seconds.

    The Engine rounds as its go-units' HumanDuration does: "About an hour" ends at 90 minutes, the
    other units are cut or rounded by less than one.
    """
    match = _UP.match(words)
    if not match:
        return None
    count = int(match[1]) if match[1].isdigit() else 1
    return float((count + 1) * _UNIT_SECONDS[match[2]])


class EngineReader:
    """Asks one Engine. Every question raises EngineError, after ``answer_seconds`` at the latest."""

    def __init__(self, host: str, answer_seconds: float = 10.0) -> None:
        """``host`` as in DOCKER_HOST. Nothing is contacted yet; used from one event loop."""
        self.host = host
        self.answer_seconds = answer_seconds
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def ping(self) -> None:
        await self._ask("ping", "/_ping")

    async def info(self) -> Mapping[str, Any]:
        """The Engine's ``/info``."""
        answer = await self._ask_json("info", "/info")
        if not isinstance(answer, dict):
            raise EngineError("info: the Engine's answer is no object")
        return answer

    async def listed(self) -> list[Listed]:
        """All containers, stopped ones included."""
        return parse_listed(
            await self._ask_json("list of containers", "/containers/json", {"all": "1"})
        )

    async def sizes(self, ids: list[str], seconds: float) -> list[Listed]:
        """The running ones among ``ids``, with the sizes of their writable layers.

        The Engine walks the files of those layers: it may take long, up to ``seconds``.
        """
        query = {"size": "1", "filters": json.dumps({"id": ids})}
        answer = await self._ask_json("sizes of containers", "/containers/json", query, seconds)
        return parse_listed(answer)

    async def container(self, container_id: str) -> Container:
        """Inspect one. Raises EngineError(missing=True) where there is none."""
        raw = await self._ask_json(
            f"inspect of {container_id[:12]}", f"/containers/{quote(container_id, safe='')}/json"
        )
        container = parse_container(raw)
        if container_id not in (container.id, container.name):
            raise EngineError(
                f"inspect of {container_id[:12]}: the Engine told of another container"
            )
        return container

    async def stats(self, container_id: str) -> Any:
        """What a container uses now ("Get container stats based on resource usage").

        ``one-shot`` (API 1.41 and newer) answers at once; an older Engine passes it over and takes
        two looks, a second apart.
        """
        return await self._ask_json(
            f"stats of {container_id[:12]}",
            f"/containers/{quote(container_id, safe='')}/stats",
            {"stream": "false", "one-shot": "true"},
        )

    async def close(self) -> None:
        """Close its connections for good."""
        self._closed = True
        await self.drop()

    async def drop(self) -> None:
        """Close its connections; the next question opens new ones."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _ask_json(
        self,
        what: str,
        path: str,
        query: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Any:
        body = await self._ask(what, path, query, seconds)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"{what}: the Engine's answer is no JSON") from error

    async def _ask(
        self,
        what: str,
        path: str,
        query: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> bytes:
        base = parse_host(self.host)[1]
        try:
            async with (
                asyncio.timeout(self.answer_seconds if seconds is None else seconds),
                self._open().get(base + path, params=query, allow_redirects=False) as answer,
            ):
                body = await self._read(what, answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise EngineError(
                f"{what}: the Engine at {self.host} does not answer ({why})"
            ) from error
        if answer.status != 200:
            words = body[:500].decode(errors="replace").strip()
            raise EngineError(
                f"{what}: the Engine answers {answer.status}: {words}",
                missing=answer.status == 404,
            )
        return body

    async def _read(self, what: str, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                answer.close()
                raise EngineError(f"{what}: the Engine's answer is longer than {MAX_ANSWER_BYTES}")
        return bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise EngineError("nobody asks the Engine any more")
        if self._session is None:
            path, _ = parse_host(self.host)
            connector = (
                aiohttp.UnixConnector(path, limit=CONNECTIONS, keepalive_timeout=KEPT_SECONDS)
                if path
                else aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_SECONDS)
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                # Nothing of an answer may outgrow its bound: neither unpacked, nor kept for later.
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
