"""How much the containers have written, and how much room the filesystem below them has.

cAdvisor's names and meanings: usage is the writable layer alone (no volume, no bind mount), limit and
inodes are those of the host's filesystem that holds it. The Engine finds the size of a layer by walking
its files, so that it is asked in the background, the more seldom the longer that takes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from exporter.context import Context
from exporter.exposition import Family, Samples, number
from exporter.host.mounts import MountTable, below
from exporter.scrape import CollectorError, Reading
from target.engine import Container, EngineError

LEAST_PAUSE_SECONDS = 300.0
PAUSE_FOR_EACH_SECOND = 2000.0
"""So that the Engine spends at most 0.05 % of its time on it."""
ANSWER_SECONDS = 120.0
_SHORT_ID = 12
_MOST_NAMED = 200
"""So many ids find room in a question; where there are more, the Engine is asked about all."""

_USAGE = Family(
    "container_fs_usage_bytes",
    "gauge",
    "Size of the container's writable layer, without volumes and bind mounts.",
)
_LIMIT = Family(
    "container_fs_limit_bytes", "gauge", "Size of the host's filesystem below the writable layer."
)
_INODES_FREE = Family("container_fs_inodes_free", "gauge", "Free inodes of that filesystem.")
_INODES_TOTAL = Family("container_fs_inodes_total", "gauge", "Inodes of that filesystem.")
FAMILIES = (_USAGE, _LIMIT, _INODES_FREE, _INODES_TOTAL)
_AGE = Family(
    "sermon_monitor_container_sizes_age_seconds",
    "gauge",
    "Time since the Engine last told the sizes of the writable layers.",
)

log = structlog.get_logger(__name__)


class _Row(NamedTuple):
    """One container's series, each with its blank."""

    id: str
    series: tuple[bytes, ...]


class ContainerSizesCollector:
    """Sizes of running containers; one that has just begun has none before the next question."""

    name = "container_sizes"

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._discovery = context.discovery
        self._labels = context.container_labels
        self._rootfs = str(settings.rootfs).rstrip("/")
        self._mounts = MountTable(settings.proc_root, settings.rootfs)
        self._sizes: Mapping[str, int] = {}
        self._asked_at: float | None = None
        self._problem = ""
        self._root_dir = ""
        self._root_dir_of = 0
        self._made_of: object = None
        self._rows: tuple[_Row, ...] = ()

    async def run(self) -> None:
        """Ask for ever, at once when an Engine is found."""
        seen = -1
        while True:
            while not self._discovery.connected:
                seen = await self._discovery.wait_change(seen)
            connection = self._discovery.connections
            pause = LEAST_PAUSE_SECONDS
            try:
                if connection != self._root_dir_of:
                    self._root_dir = root_dir(await self._discovery.reader.info())
                    self._root_dir_of = connection
                pause = max(pause, await self._ask() * PAUSE_FOR_EACH_SECOND)
                self._problem = ""
            except EngineError as error:
                self._problem = str(error)
            await self._sleep(pause, connection)

    async def _sleep(self, seconds: float, connection: int) -> None:
        """For so long, or until an Engine is found again."""
        seen = self._discovery.generation
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._discovery.connections == connection:
                    seen = await self._discovery.wait_change(seen)

    async def _ask(self) -> float:
        """Learn the sizes; how long the Engine took, in seconds."""
        began = time.monotonic()
        running = [one for one in self._discovery.watched() if _has_layer(one)]
        sizes: dict[str, int] = {}
        if running:
            ids = [one.id[:_SHORT_ID] for one in running] if len(running) <= _MOST_NAMED else []
            told = await self._discovery.reader.sizes(ids, ANSWER_SECONDS)
            # The Engine leaves out a 0, and says -1 where it could not find out.
            found = {one.id: one.size_rw_bytes or 0 for one in told}
            sizes = {key: size for key, size in found.items() if size >= 0}
        self._sizes, self._asked_at = sizes, time.monotonic()
        return self._asked_at - began

    def begin(self) -> Reading:
        """Nothing of a container is said while the Engine cannot be asked, as by the containers' collector."""
        if not self._discovery.connected:
            raise CollectorError(self._discovery.error, [self._age()])
        watched, sizes, directory = self._discovery.watched(), self._sizes, self._root_dir
        problem, age = self._problem, self._age()
        return lambda: [*self._read(watched, sizes, directory, problem, age), age]

    def _age(self) -> Samples:
        if self._asked_at is None:
            return Samples(_AGE, b"")
        return _AGE.one(round(time.monotonic() - self._asked_at, 3))

    def _read(
        self,
        watched: tuple[Container, ...],
        sizes: Mapping[str, int],
        directory: str,
        problem: str,
        age: Samples,
    ) -> Sequence[Samples]:
        if not sizes:
            if problem:
                raise CollectorError(problem, [age])
            return ()
        try:
            room = os.statvfs(self._rootfs + directory)
            device = device_below(self._mounts, directory)
        except OSError as error:
            # Where ROOTFS does not show the Engine's directory, the sizes are known all the same.
            where = f"{self._rootfs}{directory}: {error.strerror}"
            usage = self._usage(self._made(watched, sizes, ""), sizes)
            raise CollectorError(problem or where, [usage, age]) from error
        rows = self._made(watched, sizes, device)
        unit = room.f_frsize or room.f_bsize
        told = [self._usage(rows, sizes)]
        values = (room.f_blocks * unit, room.f_ffree, room.f_files)
        for place, value in enumerate(values, start=1):
            end = b"%d\n" % value
            lines = b"".join(row.series[place] + end for row in rows)
            told.append(Samples(FAMILIES[place], lines))
        if problem:
            raise CollectorError(problem, [*told, age])
        return told

    @staticmethod
    def _usage(rows: Sequence[_Row], sizes: Mapping[str, int]) -> Samples:
        lines = b"".join(row.series[0] + number(sizes[row.id]) + b"\n" for row in rows)
        return Samples(_USAGE, lines)

    def _made(
        self, watched: tuple[Container, ...], sizes: Mapping[str, int], device: str
    ) -> tuple[_Row, ...]:
        """Names and labels, made anew when one of them has changed."""
        made_of = (watched, sizes, self._labels.version, device)
        if made_of != self._made_of:
            self._rows = tuple(
                _Row(one.id, self._series(one, device))
                for one in watched
                if one.id in sizes and _has_layer(one)
            )
            self._made_of = made_of
        return self._rows

    def _series(self, container: Container, device: str) -> tuple[bytes, ...]:
        labels = {"device": device, **self._labels.of(container)}
        return tuple(family.series(**labels) for family in FAMILIES)


def root_dir(info: Mapping[str, object]) -> str:
    """Where the Engine keeps its layers, from ``/info``. Raises EngineError where it does not say."""
    found = info.get("DockerRootDir")
    if not isinstance(found, str) or not Path(found).is_absolute() or "\0" in found:
        raise EngineError("info: the Engine does not say where it keeps its data (DockerRootDir)")
    return found


def device_below(mounts: MountTable, directory: str) -> str:
    """The device of the filesystem that holds ``directory``; empty where none is known. Raises OSError."""
    holding = [one for one in mounts.read() if below(directory, one.mountpoint) is not None]
    if not holding:
        return ""
    return max(holding, key=lambda one: len(one.mountpoint)).device


def _has_layer(container: Container) -> bool:
    return container.state in ("running", "paused")
