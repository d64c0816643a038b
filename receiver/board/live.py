"""Tells open pages that there is news (Server-Sent Events), so that they fetch themselves anew.

Only the edition's short text goes over the wire; what is new, the page asks for as anybody does.
Format: HTML Living Standard, "Server-sent events".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

EVERY_SECONDS = 1.0
"""How often the store is asked, once for all, while anybody looks on."""
SILENCE_SECONDS = 15.0
"""A sign of life for whatever stands between, which ends what is silent."""
LONGEST_SECONDS = 600.0
"""Then the browser comes again by itself, and is asked again who it is."""
MOST = 32
"""Streams at once."""


class Live:
    """``edition`` reads the present one."""

    def __init__(self, edition: Callable[[], Awaitable[str]]) -> None:
        self._edition = edition
        self._streams = 0
        self._stopped = asyncio.Event()
        self._shared: asyncio.Task[str] | None = None

    def stop(self) -> None:
        """Every stream ends at once."""
        self._stopped.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self._streams >= MOST or self._stopped.is_set():
            return web.Response(status=503, text="too many look on at once; reload by hand\n")
        self._streams += 1
        try:
            return await self._tell(request)
        finally:
            self._streams -= 1

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        answer = web.StreamResponse(headers=headers)
        answer.content_type = "text/event-stream"
        await answer.prepare(request)
        loop = asyncio.get_running_loop()
        ends, spoke, told = loop.time() + LONGEST_SECONDS, loop.time(), ""
        try:
            await answer.write(b"retry: 2000\n\n")
            while loop.time() < ends and not self._stopped.is_set():
                present = await self._now()
                if present != told:
                    await answer.write(f"event: edition\ndata: {present}\n\n".encode())
                    told, spoke = present, loop.time()
                elif loop.time() - spoke > SILENCE_SECONDS:
                    await answer.write(b": still here\n\n")
                    spoke = loop.time()
        except ConnectionResetError:
            pass  # whoever looked on has left
        return answer

    async def _now(self) -> str:
        """The edition after the next pause: one look for all who wait."""
        if self._shared is None or self._shared.done():
            self._shared = asyncio.create_task(self._after_a_pause(), name="edition")
        return await asyncio.shield(self._shared)

    async def _after_a_pause(self) -> str:
        try:
            async with asyncio.timeout(EVERY_SECONDS):
                await self._stopped.wait()
        except TimeoutError:
            pass
        return await self._edition()
