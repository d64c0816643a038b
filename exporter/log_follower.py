"""Follows the logs of some containers through restarts, recreations and an Engine that comes and goes.

Where the Engine's json-file can be read, it is: that costs the Engine nothing, and goes on while the
Engine is down. Else the Engine is asked. One cursor a container serves both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from exporter.lane import Lane
from exporter.log_file import LogFile
from exporter.log_reader import Counters, LogReader
from target.discovery import Discovery
from target.engine import Container, EngineError
from target.engine_log import open_log

SOURCES = ("engine", "file")
INTERRUPTIONS = ("connection", "rotation")
"""The Engine's answer broke off (it keeps the lines), or a file went before it was read (lines are lost)."""
POLL_SECONDS = 1.0
SILENT_SECONDS = 10.0
"""A file that has not been read for so long after it was to be lies on a disk that hangs."""
TURN_BYTES = 128 * 1024
"""Counted in one turn of the event loop: less than a millisecond here, a few on a Raspberry Pi."""

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


@dataclass
class Followed:
    """One container's log. ``problem`` is what keeps it from being read, in words."""

    container: Container
    reader: LogReader
    task: asyncio.Task[None] | None = None
    source: str = ""
    """The one of SOURCES that is open; empty: none."""
    problem: str = ""
    doubtful: bool = False
    """It ended, and it is not known yet whether its container did."""
    gone: bool = False
    """The container is removed, or no longer one of the chosen: what is left is read, and no more."""
    asked_at: float | None = None
    """Monotonic: since when its file is waited for."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def trouble(self) -> str:
        """``problem``, or that its file hangs: then its counters stand still too."""
        silent = 0.0 if self.asked_at is None else time.monotonic() - self.asked_at
        if silent < SILENT_SECONDS:
            return self.problem
        return f"the log file of {self.container.name} has not answered for {silent:.0f} s"


class LogFollower:
    """Counts every new line of the chosen containers, each once.

    What was logged before this process began is history and not counted. A container that comes
    later is read from its beginning.
    """

    def __init__(
        self,
        discovery: Discovery,
        choose: Callable[[], Sequence[Container]],
        counters: Counters,
        *,
        rootfs: Path | None = Path("/"),
        retry_seconds: tuple[float, float] = (0.5, 15.0),
        began_nano: int | None = None,
    ) -> None:
        """``choose`` gives the containers to follow now. ``rootfs`` is the Engine's root directory; None: no files."""
        self._discovery = discovery
        self._choose = choose
        self._counters = counters
        self._rootfs = rootfs
        self._retry = retry_seconds
        self._began_nano = time.time_ns() if began_nano is None else began_nano
        self._followed: dict[str, Followed] = {}
        self._left: dict[str, Followed] = {}
        """Those that are chosen no more. One that comes back, renamed twice perhaps, goes on where it was left."""
        self._first_listing = True
        self._lane = Lane("log")
        self.interruptions = dict.fromkeys(INTERRUPTIONS, 0)
        self.last_nano = 0

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
            tasks = [
                one.task for one in (*self._followed.values(), *self._left.values()) if one.task
            ]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._lane.close()
            self._lane = Lane("log")

    def _reconcile(self) -> None:
        if not self._discovery.connected:
            # Their connections may be as dead as the Engine without knowing it: none survives.
            for one in self._followed.values():
                if one.source != "file":
                    self._end(one)
            return
        chosen = {one.id: one for one in self._choose()}
        for gone in self._followed.keys() - chosen.keys():
            self._leave(self._followed.pop(gone))
        for key, container in chosen.items():
            one = self._followed.get(key) or self._again(key) or self._begin(container)
            one.container = container
            one.changed.set()
            if one.task is None or one.task.done():
                one.task = asyncio.create_task(self._follow(one))
                one.task.add_done_callback(partial(_take_note, one))
        self._forget()
        self._first_listing = False

    def _again(self, container_id: str) -> Followed | None:
        """One that was followed before, with its cursor: none of its lines counts twice."""
        one = self._left.pop(container_id, None)
        if one is not None:
            one.gone = False
            self._followed[container_id] = one
            log.info("following log again", container=one.container.name, id=container_id[:12])
        return one

    def _begin(self, container: Container) -> Followed:
        began = datetime.fromtimestamp(self._began_nano / 1e9, UTC)
        old = self._first_listing or container.created_at < began
        since = self._began_nano if old else 0
        reader = LogReader(container.id, since, self._counters, tty=container.tty)
        one = Followed(container, reader)
        self._followed[container.id] = one
        log.info("following log", container=container.name, id=container.id[:12])
        return one

    def _leave(self, one: Followed) -> None:
        """An open file is readable after its removal: its last lines still count."""
        if one.source == "file" and one.task is not None:
            one.gone = True
        else:
            self._end(one)
        self._left[one.container.id] = one

    def _forget(self) -> None:
        """Those whose container is removed, once they are read to their end."""
        there = {one.id for one in self._discovery.containers}
        self._left = {
            key: one
            for key, one in self._left.items()
            if key in there or (one.task is not None and not one.task.done())
        }

    def _end(self, one: Followed) -> None:
        if one.task is not None and not one.problem and not self._discovery.connected:
            self.interruptions["connection"] += 1  # one with a problem has been counted
        if one.task is not None:
            one.task.cancel()
            one.task = None
        one.source, one.doubtful = "", False

    async def _follow(self, one: Followed) -> None:
        """One container's log to its end, again whenever it runs again."""
        pause, once_more = self._retry[0], False
        while not one.gone:
            run, known = one.container.started_at, one.reader.last_nano
            try:
                await self._read(one)
                one.problem, pause = "", self._retry[0]
                one.doubtful = not one.gone
            except EngineError as error:
                if error.missing:
                    return
                self.interruptions["connection"] += bool(one.source) or once_more
                if one.problem != str(error):
                    log.warning("log not readable", container=one.container.name, reason=str(error))
                one.problem = str(error)
            finally:
                one.source = ""
            # A log that ends although its container runs: the news of its end is still to come.
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._retry[1])
            if one.doubtful and one.container.running and one.container.started_at == run:
                self.interruptions["connection"] += 1
            one.doubtful = False
            # An Engine may close before the last lines: it is asked once more.
            once_more = not one.problem and one.reader.last_nano != known
            if once_more:
                continue
            while not (
                one.gone or one.problem or one.container.running or one.container.started_at != run
            ):
                one.changed.clear()
                await one.changed.wait()

    async def _read(self, one: Followed) -> None:
        since = one.reader.resume()
        path = file_of(one.container, self._rootfs)
        if path is not None:
            try:
                async with self._opened(one, path, since) as file:
                    await self._read_file(one, file)
            except OSError as error:
                log.info(
                    "log file not readable: asking the engine", path=str(path), reason=str(error)
                )
                since = one.reader.resume()
            else:
                return
        await self._read_engine(one, since)

    async def _read_engine(self, one: Followed, since: int) -> None:
        stream, container = self._discovery.stream, one.container
        if stream.host.startswith("https"):
            async with stream.logs(container.id, since, tty=container.tty) as entries:
                one.source, one.problem = "engine", ""
                async for number, raw in entries:
                    one.reader.take_entry(number, raw)
                    self._note(one)
            return
        async with open_log(stream.host, container.id, since, stream.answer_seconds) as opened:
            one.source, one.problem = "engine", ""
            while data := await opened.read():
                one.reader.take(data)
                self._note(one)

    async def _read_file(self, one: Followed, file: LogFile) -> None:
        """To the file's end, and what is added to it, until the container is removed."""
        one.source, one.problem = "file", ""
        while True:
            gone = one.gone
            block = await self._in_thread(one, file.read)
            if block.gap:
                self.interruptions["rotation"] += 1
                log.warning("log rotated before it was read", container=one.container.name)
            for lines in _turns(block.lines):
                one.reader.take_file(lines)
                await asyncio.sleep(0)
            self._note(one)
            if block.at_end:
                if gone:
                    return
                await asyncio.sleep(POLL_SECONDS)

    @asynccontextmanager
    async def _opened(self, one: Followed, path: Path, since: int) -> AsyncIterator[LogFile]:
        file = await self._in_thread(one, partial(LogFile, path, since))
        try:
            yield file
        finally:
            self._lane.do(file.close)  # behind a read that may still be at work

    async def _in_thread(self, one: Followed, call: Callable[[], Result]) -> Result:
        """Raises OSError, as ``call`` does."""
        one.asked_at = time.monotonic()
        try:
            return await self._lane.result(call)
        finally:
            one.asked_at = None

    def _note(self, one: Followed) -> None:
        self.last_nano = max(self.last_nano, one.reader.last_nano)


def file_of(container: Container, rootfs: Path | None) -> Path | None:
    """Where the Engine's json-file of a container should be; None where its log is kept another way."""
    path = Path(container.log_path)
    if rootfs is None or path.name != f"{container.id}-json.log" or not path.is_absolute():
        return None
    return rootfs / path.relative_to("/")


def _turns(lines: bytes) -> Iterator[bytes]:
    """Whole lines of about TURN_BYTES."""
    at = 0
    while at < len(lines):
        end = lines.rfind(b"\n", at, at + TURN_BYTES) + 1 or lines.find(b"\n", at) + 1
        yield lines[at:end]
        at = end


def _take_note(one: Followed, task: asyncio.Task[None]) -> None:
    """A follower that ended by a defect says so in the collector's outcome, not only in the log."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("log follower has a defect", container=one.container.name, exc_info=error)
        one.problem = f"{type(error).__name__}: {error}"
