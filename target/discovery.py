"""Which containers there are, kept up to date without asking again and again.

Lists and inspects once, then follows the Engine's events and inspects only what changed. Lists again
after every reconnect and now and then, in case an event was lost.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from target.blocking import BlockedError, Blocking
from target.engine import Container, Engine, EngineError
from target.engine_stream import EngineStream, Event
from target.roles import is_ours

_NOT_A_CHANGE = re.compile(r"exec_|top\b|attach|detach|resize|archive-path|extract-to-dir|export")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rhythm:
    """How often, in seconds."""

    relist: float = 60.0
    ping: float = 15.0
    """A hung Engine keeps its event stream open and silent: only a question finds out."""
    debounce: float = 0.2
    """A recreation is a dozen events within a moment: one inspection answers them all."""
    retry_least: float = 0.5
    retry_most: float = 15.0
    answer: float = 20.0
    """Longest wait for one listing with its inspections."""


class Discovery:
    """The containers of one Engine. Used from one event loop; ``run`` is its long-lived task."""

    def __init__(
        self,
        engine: Engine,
        pattern: str,
        *,
        stream: EngineStream | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:
        """``pattern`` must match a container's whole name for it to be watched (APP_CONTAINERS)."""
        self.engine = engine
        self.stream = stream or EngineStream(engine.host)
        self.connected = False
        self.error = "not asked yet"
        self.generation = 0
        """Counts the changes of containers and connected; wait_change takes it."""
        self._pattern = re.compile(pattern)
        self._rhythm = rhythm or Rhythm()
        self._containers: dict[str, Container] = {}
        self._changed = asyncio.Event()
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[Event], None]] = []
        self._blocking: Blocking[Any] = Blocking("Docker Engine")

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers by name, as last seen: only as true as ``connected`` says."""
        return tuple(sorted(self._containers.values(), key=lambda one: (one.name, one.id)))

    def watched(self) -> tuple[Container, ...]:
        """Those that belong to the deployment: the name matches and they are not ours."""
        return tuple(
            one for one in self.containers if self._pattern.fullmatch(one.name) and not is_ours(one)
        )

    def on_event(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with every container event, before what it changes is inspected."""
        self._listeners.append(listener)

    async def wait_change(self, seen: int | None = None) -> int:
        """Wait until ``generation`` is no longer ``seen`` (None: the present one); returns it."""
        seen = self.generation if seen is None else seen
        while self.generation == seen:
            await self._changed.wait()
        return self.generation

    async def run(self) -> None:
        """Follow the Engine for ever; without one, keep trying and say so."""
        pause = self._rhythm.retry_least
        while True:
            try:
                await self._follow()
            except (EngineError, BlockedError) as error:
                if self.connected:
                    pause = self._rhythm.retry_least
                self._lost(str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._rhythm.retry_most)

    async def _follow(self) -> None:
        """One connection's life. The stream is open before the listing, so that nothing falls between."""
        async with self.stream.events() as events:
            await self._relist()
            await _first_to_fail(self._read(events), self._keep())

    async def _read(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if _NOT_A_CHANGE.match(event.action):
                continue
            for listener in self._listeners:
                listener(event)
            self._dirty.add(event.container_id)
            self._wake.set()
        raise EngineError(f"the Engine at {self.engine.host} ended its event stream")

    async def _keep(self) -> None:
        listed = asked = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(max(0.0, asked + self._rhythm.ping - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                if time.monotonic() - listed >= self._rhythm.relist:
                    await self._relist()
                    listed = time.monotonic()
                else:
                    await self._ask(self.engine.ping)
                asked = time.monotonic()
                continue
            await asyncio.sleep(self._rhythm.debounce)
            await self._inspect_dirty()
            asked = time.monotonic()

    async def _relist(self) -> None:
        self._dirty.clear()
        self._wake.clear()
        listed: list[Container] = await self._ask(self.engine.containers)
        self._publish({one.id: one for one in listed})

    async def _inspect_dirty(self) -> None:
        dirty = sorted(self._dirty)
        self._dirty.clear()
        self._wake.clear()
        inspected: dict[str, Container | None] = await self._ask(lambda: self._inspect(dirty))
        kept = {**self._containers, **inspected}
        self._publish({key: one for key, one in kept.items() if one is not None})

    def _inspect(self, ids: list[str]) -> dict[str, Container | None]:
        found: dict[str, Container | None] = {}
        for one in ids:
            try:
                found[one] = self.engine.container(one)
            except EngineError as error:
                if not error.missing:
                    raise
                found[one] = None
        return found

    async def _ask(self, call: Callable[[], Any]) -> Any:
        return await self._blocking.run(call, self._rhythm.answer)

    def _publish(self, containers: dict[str, Container]) -> None:
        if not self.connected:
            log.info("docker engine connected", host=self.engine.host, containers=len(containers))
        elif containers == self._containers:
            return
        self._containers, self.connected, self.error = containers, True, ""
        self._tell()

    def _lost(self, words: str) -> None:
        if self.connected or self.error != words:
            log.warning("docker engine not reachable", host=self.engine.host, reason=words)
        self.error = words
        if self.connected:
            self.connected = False
            self._tell()

    def _tell(self) -> None:
        self.generation += 1
        self._changed.set()
        self._changed = asyncio.Event()


async def _first_to_fail(*work: Coroutine[Any, Any, None]) -> None:
    """Run all until one ends; end the others; raise what it raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
