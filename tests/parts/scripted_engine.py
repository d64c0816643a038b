"""An Engine's HTTP answers as a test scripts them, on a real Unix socket: for what a real one does only once in years."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web


class ScriptedEngine:
    """Answers ping, list, inspect and events. ``hung`` are ids whose inspection never comes, or ``*``."""

    def __init__(self, socket: Path) -> None:
        self.host = f"unix://{socket}"
        self.containers: dict[str, dict[str, Any]] = {}
        self.hung: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.raw: dict[str, bytes] = {}
        """Bodies, by path, instead of what would be answered."""
        self.history: list[bytes] = []
        """Events told at the start of each stream that asks for some."""
        self._streams: list[asyncio.Queue[bytes | None]] = []
        self._socket = socket

    @property
    def followed(self) -> bool:
        """Whether anybody reads the events."""
        return bool(self._streams)

    def add(self, key: str, name: str = "", **state: Any) -> None:
        told = {"Status": "running", "Pid": 42, "StartedAt": "2026-03-01T10:00:01Z", **state}
        self.containers[key] = {
            "Id": key,
            "Name": f"/{name or key}",
            "Image": "sha256:1",
            "Created": "2026-03-01T10:00:00Z",
            "State": told,
            "Config": {"Image": "app:v1"},
        }

    def tell(self, action: str, key: str, nano: int, **attributes: str) -> bytes:
        """An event to all streams; its line."""
        actor = {"ID": key, "Attributes": attributes}
        event = {"Type": "container", "Action": action, "Actor": actor, "timeNano": nano}
        line = json.dumps(event).encode() + b"\n"
        for stream in self._streams:
            stream.put_nowait(line)
        return line

    def cut(self) -> None:
        """End all event streams."""
        for stream in self._streams:
            stream.put_nowait(None)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedEngine]:
        app = web.Application(middlewares=[self._script])
        self.routes(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self._socket)).start()
        try:
            yield self
        finally:
            self.cut()
            await runner.cleanup()

    def routes(self, app: web.Application) -> None:
        """What it answers; a subclass may know more."""
        app.router.add_get("/_ping", self._ping)
        app.router.add_get("/events", self._events)
        app.router.add_get("/containers/json", self._list)
        app.router.add_get("/containers/{id}/json", self._inspect)

    @web.middleware
    async def _script(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked[request.path] += 1
        if "*" in self.hung:
            await asyncio.Event().wait()
        if request.path in self.raw:
            return web.Response(body=self.raw[request.path])
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response(
            [
                {
                    "Id": key,
                    "Names": [one["Name"]],
                    "State": one["State"]["Status"],
                    "Status": "Up 5 years" if one["State"]["Status"] == "running" else "Exited",
                }
                for key, one in self.containers.items()
            ]
        )

    async def _inspect(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        if key in self.hung:
            await asyncio.Event().wait()
        if key not in self.containers:
            return web.json_response({"message": "No such container"}, status=404)
        return web.json_response(self.containers[key])

    async def _events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        if "since" in request.query:
            await answer.write(b"".join(self.history))
        if "until" in request.query:
            return answer
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams.append(stream)
        try:
            while (line := await stream.get()) is not None:
                await answer.write(line)
        finally:
            self._streams.remove(stream)
        return answer
