"""What the Engine says of containers whose control groups cannot be read (Docker Desktop, a remote Engine).

Format: Docker Engine API, "Get container stats based on resource usage", of both versions of control
groups. The Engine takes its time for an answer, so that it is asked in the background, and only while
scrapes miss something: what they tell then is some seconds old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from exporter import container_families as of
from exporter.cgroup_files import (
    MOST_DEVICES,
    MOST_INTERFACES,
    NOT_COUNTED,
    V1_MEMORY,
    V1_OWN,
    V2_MEMORY,
    DeviceName,
    disk_slots,
)
from exporter.cgroup_layout import Slot
from target.engine import EngineError
from target.engine_reader import EngineReader

POLL_SECONDS = 10.0
FRESH_SECONDS = 45.0
"""An older answer is no longer told, but where asking once about all took longer: the Engine hangs, or the container has gone."""
LONGEST_FRESH_SECONDS = 300.0
WANTED_SECONDS = 120.0
"""So long after the last scrape that missed something, the Engine is no longer asked."""
AT_ONCE = 4
MOST_CPUS = 1024
"""With more, the total is told: an answer must not make series without end."""
_NS = 9
_MOST = 2**64 - 1
_OPERATIONS = ("Read", "Write", "Sync", "Async", "Discard", "Total")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class EngineShape:
    """The series of one answer; the same series make the same shape."""

    slots: tuple[Slot, ...]


class Known(NamedTuple):
    """One container's usage, and the Unix time of the answer."""

    shape: EngineShape
    values: Sequence[bytes]
    seen_at: int


@dataclass
class _Reading:
    """Series and values of one answer, each series once."""

    slots: list[Slot] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=set)

    def add(self, slot: Slot, value: object) -> None:
        """What is no number is not known."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
            return
        if slot.family is None or (slot.family.name, slot.labels) in self.seen:
            return
        self.seen.add((slot.family.name, slot.labels))
        self.slots.append(slot)
        text = b"%d" % value
        if slot.digits:
            text = text.zfill(slot.digits + 1)
            self.values += text[: -slot.digits], text[-slot.digits :]
        else:
            self.values.append(text)


def parse_stats(answer: object, device_name: DeviceName) -> tuple[EngineShape, list[bytes]] | None:
    """Series and values of one answer; None where it tells of no CPU: the container has ended."""
    reading = _Reading()
    _cpu(reading, _object(_object(answer).get("cpu_stats")))
    if not reading.slots:
        return None
    _memory(reading, _object(_object(answer).get("memory_stats")))
    _network(reading, _object(_object(answer).get("networks")))
    _disks(reading, _object(_object(answer).get("blkio_stats")), device_name)
    reading.add(Slot(of.THREADS), _object(_object(answer).get("pids_stats")).get("current"))
    return EngineShape(tuple(reading.slots)), reading.values


def _cpu(reading: _Reading, stats: Mapping[str, Any]) -> None:
    usage = _object(stats.get("cpu_usage"))
    if not usage.get("total_usage"):
        return
    each = usage.get("percpu_usage")
    online = stats.get("online_cpus")
    if (
        isinstance(each, list)
        and isinstance(online, int)
        and 0 < online <= min(len(each), MOST_CPUS)
    ):
        for cpu, value in enumerate(each[:online]):
            reading.add(Slot(of.CPU_USAGE, (("cpu", f"cpu{cpu:02d}"),), _NS), value)
    else:
        reading.add(Slot(of.CPU_USAGE, (("cpu", "total"),), _NS), usage.get("total_usage"))
    reading.add(Slot(of.CPU_USER, (), _NS), usage.get("usage_in_usermode"))
    reading.add(Slot(of.CPU_SYSTEM, (), _NS), usage.get("usage_in_kernelmode"))
    throttling = _object(stats.get("throttling_data"))
    if throttling.get("periods"):
        reading.add(Slot(of.CFS_PERIODS), throttling.get("periods"))
        reading.add(Slot(of.CFS_THROTTLED), throttling.get("throttled_periods"))
        reading.add(Slot(of.CFS_THROTTLED_SECONDS, (), _NS), throttling.get("throttled_time"))


def _memory(reading: _Reading, stats: Mapping[str, Any]) -> None:
    detail = _object(stats.get("stats"))
    usage = stats.get("usage")
    if not usage:  # no memory controller: the Engine says nothing, or 0
        return
    reading.add(Slot(of.MEMORY_USAGE), usage)
    reading.add(Slot(of.MEMORY_MAX), stats.get("max_usage"))
    first = "total_" if "total_rss" in detail else ""
    if "anon" not in detail:
        reading.add(Slot(of.FAILCNT), stats.get("failcnt"))
        for key, (own,) in V1_OWN.items():
            reading.add(own, detail.get(key.decode()))
    for key, slots in (V2_MEMORY if "anon" in detail else V1_MEMORY).items():
        for slot in slots:
            reading.add(slot, detail.get(first + key.decode()))
    inactive = detail.get(first + "inactive_file")
    if isinstance(inactive, int) and isinstance(usage, int):
        reading.add(Slot(of.WORKING_SET), max(0, usage - inactive))


def _network(reading: _Reading, networks: Mapping[str, Any]) -> None:
    columns = ("bytes", "packets", "errors", "dropped")
    counted = [
        name for name in networks if not name.encode(errors="replace").startswith(NOT_COUNTED)
    ]
    for name in counted[:MOST_INTERFACES]:
        values = _object(networks[name])
        found = [values.get(f"{way}_{column}") for way in ("rx", "tx") for column in columns]
        for family, value in zip(of.NETWORK, found, strict=True):
            label = name.encode(errors="replace").decode()
            reading.add(Slot(family, (("interface", label),)), value)


def _disks(reading: _Reading, stats: Mapping[str, Any], device_name: DeviceName) -> None:
    for key, byte in (("io_service_bytes_recursive", True), ("io_serviced_recursive", False)):
        for row in _rows(stats.get(key)):
            numbers = f"{row.get('major')}:{row.get('minor')}"
            operation = str(row.get("op")).title()
            if operation in _OPERATIONS and len(numbers) < 32:
                for slot in disk_slots(operation, numbers, device_name, in_bytes=byte):
                    reading.add(slot, row.get("value"))


def _rows(value: object) -> Iterator[Mapping[str, Any]]:
    rows = value if isinstance(value, list) else []
    for row in rows[: MOST_DEVICES * len(_OPERATIONS)]:
        yield _object(row)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def fresh_seconds(round_seconds: float) -> float:
    """How old an answer may be where asking once about all took ``round_seconds``."""
    return min(max(FRESH_SECONDS, 2 * (round_seconds + POLL_SECONDS)), LONGEST_FRESH_SECONDS)


class EngineStats:
    """Keeps the last answers. ``want`` and ``run`` belong to the event loop, ``known`` to the scrape's thread."""

    def __init__(
        self, reader: EngineReader, device_name: DeviceName, poll_seconds: float = POLL_SECONDS
    ) -> None:
        """``reader`` is closed when ``run`` ends."""
        self._reader = reader
        self._poll_seconds = poll_seconds
        self._device_name = device_name
        self._known: dict[str, tuple[float, Known]] = {}
        self._fresh_seconds = FRESH_SECONDS
        self._ids: tuple[str, ...] = ()
        self._wanted = asyncio.Event()
        self._asked_for = 0.0
        self._failing = ""

    def known(self, container_id: str) -> Known | None:
        """The last answer about a container, unless it is too old."""
        moment, known = self._known.get(container_id, (0.0, None))
        return known if known and time.monotonic() - moment < self._fresh_seconds else None

    def want(self, container_ids: Collection[str]) -> None:
        """A scrape has missed these."""
        self._ids = tuple(container_ids)
        if container_ids:
            self._asked_for = time.monotonic()
            self._wanted.set()

    async def run(self) -> None:
        """Ask while scrapes miss something."""
        try:
            while True:
                await self._wanted.wait()
                began = time.monotonic()
                await self._ask_all(self._ids)
                if time.monotonic() - self._asked_for > WANTED_SECONDS:
                    self._wanted.clear()
                    self._known = {}
                await asyncio.sleep(
                    max(self._poll_seconds / 10, began + self._poll_seconds - time.monotonic())
                )
        finally:
            await self._reader.drop()

    async def _ask_all(self, ids: Sequence[str]) -> None:
        """Each answer is told as it comes: of many containers the last may come a minute after the first."""
        self._known = {key: one for key, one in self._known.items() if key in ids}
        several, began = asyncio.Semaphore(AT_ONCE), time.monotonic()
        answers = await asyncio.gather(*(self._ask(one, several) for one in ids))
        if any(answers):
            self._fresh_seconds = fresh_seconds(time.monotonic() - began)

    async def _ask(self, container_id: str, several: asyncio.Semaphore) -> bool:
        """Whether there was an answer."""
        async with several:
            try:
                answer = await self._reader.stats(container_id)
            except EngineError as error:
                if not error.missing:
                    self._say(str(error))
                return False
        self._say("")
        told = parse_stats(answer, self._device_name)
        if told:
            known = Known(*told, int(time.time()))
            self._known = {**self._known, container_id: (time.monotonic(), known)}
        return told is not None

    def _say(self, problem: str) -> None:
        """Once for each change for the worse."""
        if problem and not self._failing:
            log.warning("container usage not told by the Engine", reason=problem)
        self._failing = problem
