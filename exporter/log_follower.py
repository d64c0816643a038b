"""Follows the logs of some containers through restarts, recreations and an Engine that comes and goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog

from exporter.log_lines import Cursor, Line, LineAssembler, parse_entry
from target.discovery import Discovery
from target.engine import Container, EngineError

log = structlog.get_logger(__name__)


@dataclass
class Followed:
    """One container's log. ``problem`` is what keeps it from being read, in words."""

    container: Container
    cursor: Cursor
    assembler: LineAssembler
    task: asyncio.Task[None] | None = None
    open: bool = False
    problem: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class LogFollower:
    """Hands every new line of the chosen containers to ``take``, each once.

    What was logged before this process began is history and not handed on. A container that comes
    later is read from its beginning.
    """

    def __init__(
        self,
        discovery: Discovery,
        choose: Callable[[], Sequence[Container]],
        take: Callable[[str, Line], None],
        *,
        retry_seconds: tuple[float, float] = (0.5, 15.0),
        began_nano: int | None = None,
    ) -> None:
        """``choose`` gives the containers to follow now; ``take`` gets the container's id and a line."""
        self._discovery = discovery
        self._choose = choose
        self._take = take
        self._retry = retry_seconds
        self._began_nano = time.time_ns() if began_nano is None else began_nano
        self._followed: dict[str, Followed] = {}
        self._first_listing = True

    @property
    def followed(self) -> Sequence[Followed]:
        return tuple(self._followed.values())

    async def run(self) -> None:
        """Follow until cancelled."""
        seen = -1
        try:
            while True:
                seen = await self._discovery.wait_change(seen)
                self._reconcile()
        finally:
            tasks = [one.task for one in self._followed.values() if one.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _reconcile(self) -> None:
        if not self._discovery.connected:
            # Their connections may be as dead as the Engine without knowing it: none survives.
            for one in self._followed.values():
                self._end(one)
            return
        chosen = {one.id: one for one in self._choose()}
        for gone in self._followed.keys() - chosen.keys():
            self._end(self._followed.pop(gone))
        for key, container in chosen.items():
            one = self._followed.get(key) or self._begin(container)
            one.container = container
            one.changed.set()
            if one.task is None or one.task.done():
                one.task = asyncio.create_task(self._follow(one))
                one.task.add_done_callback(partial(_take_note, one))
        self._first_listing = False

    def _begin(self, container: Container) -> Followed:
        began = datetime.fromtimestamp(self._began_nano / 1e9, UTC)
        old = self._first_listing or container.created_at < began
        since = self._began_nano if old else 0
        one = Followed(container, Cursor(since), LineAssembler(tty=container.tty))
        self._followed[container.id] = one
        log.info("following log", container=container.name, id=container.id[:12])
        return one

    @staticmethod
    def _end(one: Followed) -> None:
        if one.task is not None:
            one.task.cancel()
            one.task = None
        one.open = False

    async def _follow(self, one: Followed) -> None:
        """One container's log to its end, again whenever it runs again."""
        pause = self._retry[0]
        while True:
            run = one.container.started_at
            try:
                await self._read(one)
                one.problem, pause = "", self._retry[0]
            except EngineError as error:
                if error.missing:
                    return
                if one.problem != str(error):
                    log.warning("log not readable", container=one.container.name, reason=str(error))
                one.problem = str(error)
            finally:
                one.open = False
            # A log that ends although its container runs: the news of its end is still to come.
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._retry[1])
            while not (one.problem or one.container.running or one.container.started_at != run):
                one.changed.clear()
                await one.changed.wait()

    async def _read(self, one: Followed) -> None:
        container = one.container
        since = one.cursor.resume()
        async with self._discovery.stream.logs(container.id, since, tty=container.tty) as entries:
            one.open, one.problem = True, ""
            async for stream, raw in entries:
                entry = parse_entry(raw)
                if one.cursor.is_new(stream, entry.time_nano):
                    for line in one.assembler.feed(stream, entry.body):
                        self._take(container.id, line)


def _take_note(one: Followed, task: asyncio.Task[None]) -> None:
    """A follower that ended by a defect says so in the collector's outcome, not only in the log."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("log follower has a defect", container=one.container.name, exc_info=error)
        one.problem = f"{type(error).__name__}: {error}"
