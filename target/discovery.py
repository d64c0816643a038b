"""Which containers there are, kept up to date by the Engine's events alone.

Lists and inspects once, then inspects only what an event names. What an event says by itself acts at
once: what is destroyed is gone, what has died does not run. A list without inspections now and then
heals an event that was lost; a ping finds an Engine that is silent because it hangs.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from target.engine import Container, Engine, EngineError
from target.engine_frames import Event
from target.engine_reader import CONNECTIONS, EngineReader
from target.engine_stream import EngineStream
from target.roles import is_ours

_NOT_A_CHANGE = re.compile(r"exec_|top\b|attach|detach|resize|archive-path|extract-to-dir|export")
_REMEMBERED_EVENTS = 300
"""More than the 256 that the Engine tells again after a reconnect."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rhythm:
    """How often, in seconds."""

    relist: float = 300.0
    ping: float = 15.0
    """A hung Engine keeps its event stream open and silent: only a question finds out."""
    debounce: float = 0.2
    """A recreation is a dozen events within a moment: one inspection answers them all."""
    retry_least: float = 0.5
    retry_most: float = 15.0
    answer: float = 10.0
    """Longest wait for one answer."""


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
        self._rhythm = rhythm or Rhythm()
        self.reader = EngineReader(engine.host, self._rhythm.answer)
        self.connected = False
        self.error = "not asked yet"
        self.generation = 0
        """Counts the changes of containers and connected; wait_change takes it."""
        self.connections = 0
        """Counts how often an Engine was found: another one may answer each time."""
        self.unread: dict[str, str] = {}
        """Containers, by id, that the Engine lists but does not tell about, and what it says instead."""
        self._pattern = re.compile(pattern)
        self._containers: dict[str, Container] = {}
        self._sorted: tuple[Container, ...] = ()
        self._watched: tuple[Container, ...] = ()
        self._changed = asyncio.Event()
        self._dirty: set[str] = set()
        self._destroyed: set[str] = set()
        self._died: dict[str, int] = {}
        """Exit codes of those that died since they were last inspected."""
        self._wake = asyncio.Event()
        self._listeners: list[Callable[[Event], None]] = []
        self._told: dict[tuple[int, str, str], None] = {}
        self._last_nano = 0

    @property
    def containers(self) -> tuple[Container, ...]:
        """All containers by name, as last seen: only as true as ``connected`` says."""
        return self._sorted

    def watched(self) -> tuple[Container, ...]:
        """Those that belong to the deployment: the name matches and they are not ours.

        The same tuple until ``generation`` changes.
        """
        return self._watched

    def on_event(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with every container event, once, before what it changes is inspected."""
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
        try:
            while True:
                try:
                    await self._follow()
                except EngineError as error:
                    if self.connected:
                        pause = self._rhythm.retry_least
                    self._lost(str(error))
                    await self.reader.drop()
                except Exception as defect:  # whatever an Engine says, it must not end the process
                    log.exception("discovery has a defect")
                    self._lost(f"{type(defect).__name__} in our own code; the log has it")
                    await self.reader.drop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._rhythm.retry_most)
        finally:
            await self.reader.close()

    async def _follow(self) -> None:
        """One connection's life. The stream is open before the listing, so that nothing falls between.

        After a reconnect the Engine tells the events since the last one again; each counts once.
        """
        async with self.stream.events(self._last_nano) as events:
            await _together(self._read(events), self._keep())

    async def _read(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if not _NOT_A_CHANGE.match(event.action) and self._is_new(event):
                self._take(event)
        raise EngineError(f"the Engine at {self.engine.host} ended its event stream")

    def _is_new(self, event: Event) -> bool:
        key = (event.time_nano, event.container_id, event.action)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > _REMEMBERED_EVENTS:
            del self._told[next(iter(self._told))]
        self._last_nano = event.time_nano
        return True

    def _take(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)
        key = event.container_id
        if event.action == "destroy":
            self._destroyed.add(key)
            self._dirty.discard(key)
            self._died.pop(key, None)
        else:
            self._dirty.add(key)
            self._wake.set()
        if event.action == "die":
            self._died[key] = _exit_code(event)
        elif event.action == "start":
            self._died.pop(key, None)
        if event.action in ("die", "destroy") and self.connected and key in self._containers:
            self._publish(self._containers)

    async def _keep(self) -> None:
        await self._compare(all_of_them=True)
        compared = time.monotonic()
        while True:
            if await self._woken():
                await asyncio.sleep(self._rhythm.debounce)
                await self._inspect_dirty()
            elif self.unread:
                self._dirty |= self.unread.keys()
                await self._inspect_dirty()
            else:
                await self.reader.ping()
            if time.monotonic() - compared >= self._rhythm.relist:
                await self._compare()
                compared = time.monotonic()

    async def _woken(self) -> bool:
        """Whether an event came before the time for a ping."""
        try:
            async with asyncio.timeout(self._rhythm.ping):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    async def _inspect_dirty(self) -> None:
        dirty = set(self._dirty)
        self._dirty.clear()
        self._wake.clear()
        found = await self._inspect(dirty)
        kept = {key: one for key, one in self._containers.items() if key not in dirty}
        self._publish(kept | found)

    async def _compare(self, *, all_of_them: bool = False) -> None:
        """Ask for the list; inspect only what differs from what is known, or ``all_of_them``."""
        self._destroyed.clear()
        listed = await self.reader.listed()
        known = {} if all_of_them else self._containers
        now = time.time()
        same = {one.id for one in listed if one.id in known and one.agrees(known[one.id], now)}
        found = await self._inspect({one.id for one in listed} - same)
        # What an event names while this goes on is inspected after it.
        self._publish({key: one for key, one in known.items() if key in same} | found)

    async def _inspect(self, ids: Iterable[str]) -> dict[str, Container]:
        """The containers of these ids, without those that are gone. Where one alone cannot be told, what is known stays."""
        found: dict[str, Container] = {}
        unread: dict[str, str] = {}
        waiting = sorted(ids)
        for key in waiting:
            self._died.pop(key, None)

        async def work() -> None:
            while waiting:
                key = waiting.pop()
                try:
                    found[key] = await self.reader.container(key)
                except EngineError as error:
                    if error.missing:
                        continue
                    await self.reader.ping()  # does it fail as well, it is the Engine that hangs
                    unread[key] = str(error)
                    if key in self._containers:
                        found[key] = self._containers[key]

        asked = set(waiting)
        await _together(*(work() for _ in range(min(CONNECTIONS, len(waiting)))))
        self._note(asked, unread)
        return found

    def _note(self, asked: set[str], unread: dict[str, str]) -> None:
        for key in unread.keys() - self.unread.keys():
            log.warning("container not readable", id=key[:12], reason=unread[key])
        kept = {key: words for key, words in self.unread.items() if key not in asked}
        self.unread = kept | unread

    def _publish(self, containers: dict[str, Container]) -> None:
        now = {
            key: _ended(one, self._died[key]) if key in self._died else one
            for key, one in containers.items()
            if key not in self._destroyed
        }
        self.unread = {k: words for k, words in self.unread.items() if k not in self._destroyed}
        if not self.connected:
            self.connections += 1
            log.info("docker engine connected", host=self.engine.host, containers=len(now))
        elif now == self._containers:
            return
        self._containers, self.connected, self.error = now, True, ""
        self._sorted = tuple(sorted(now.values(), key=lambda one: (one.name, one.id)))
        self._watched = tuple(
            one for one in self._sorted if self._pattern.fullmatch(one.name) and not is_ours(one)
        )
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


def _exit_code(event: Event) -> int:
    try:
        return int(event.attributes.get("exitCode", ""))
    except ValueError:
        return 0


def _ended(container: Container, exit_code: int) -> Container:
    """As far as the event of its death tells; the inspection that follows knows more."""
    if container.state not in ("running", "paused"):
        return container
    return replace(container, state="exited", pid=0, exit_code=exit_code)


async def _together(*work: Coroutine[Any, Any, None]) -> None:
    """Run all to their ends; when one fails, or we are cancelled, end the others first."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = (
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION) if tasks else ((), ())
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
