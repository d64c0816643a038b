"""The files of a control group, and which series each holds. Pure: each locator takes a file's lines.

Formats: the kernel's Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/{cpuacct,memory,blkio-controller,
pids}.rst, accounting/psi.rst and proc(5). What each becomes is what cAdvisor makes of it
(google/cadvisor lib/metrics/prometheus.go, opencontainers/cgroups fs and fs2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from exporter import container_families as of
from exporter.cgroup_layout import Line, Locator, Slot, Value

MOST_INTERFACES = 64
MOST_DEVICES = 64
"""Of one container; what is beyond has no series: a container may make as many as it likes."""
NOT_COUNTED = (b"lo", b"veth", b"docker", b"nerdctl")
"""Interfaces that cAdvisor leaves out, by their beginning."""
_NS, _US, _TICKS = 9, 6, 2
"""Decimal places of seconds. USER_HZ is 100 on every architecture that Docker runs on."""
_NETWORK_COLUMNS = (1, 2, 3, 4, 9, 10, 11, 12)
DeviceName = Callable[[str], str]
"""The name of a device (``/dev/vda``) by its numbers (``254:0``)."""


class File(NamedTuple):
    """``optional`` False: without it the group cannot be read. ``instead_of``: read where that file is not."""

    controller: str
    name: str
    locate: Locator
    optional: bool = True
    instead_of: str = ""


def files(version: int, cpus: int, quota: bool, device_name: DeviceName) -> tuple[File, ...]:
    """What is read in each scrape. ``cpus`` is the number of CPUs that are online."""
    return _v1(cpus, quota, device_name) if version == 1 else _v2(quota, device_name)


def _v1(cpus: int, quota: bool, device_name: DeviceName) -> tuple[File, ...]:
    in_bytes, in_operations = (_v1_disk(device_name, in_bytes=one) for one in (True, False))
    bandwidth = (File("cpu", "cpu.stat", pairs(_V1_QUOTA)),) if quota else ()
    return (
        File("cpuacct", "cpuacct.usage_percpu", per_cpu(cpus)),
        File(
            "cpuacct",
            "cpuacct.usage",
            single(_TOTAL_CPU._replace(digits=_NS)),
            optional=False,
            instead_of="cpuacct.usage_percpu",
        ),
        File("cpuacct", "cpuacct.stat", pairs(_V1_CPU)),
        *bandwidth,
        File("memory", "memory.usage_in_bytes", single(Slot(of.MEMORY_USAGE))),
        File("memory", "memory.max_usage_in_bytes", single(Slot(of.MEMORY_MAX))),
        File("memory", "memory.failcnt", single(Slot(of.FAILCNT))),
        File("memory", "memory.kmem.usage_in_bytes", single(Slot(of.KERNEL))),
        File("memory", "memory.stat", v1_memory),
        File("memory", "memory.oom_control", pairs(_KILLS)),
        File("blkio", "blkio.throttle.io_service_bytes_recursive", in_bytes),
        File("blkio", "blkio.throttle.io_serviced_recursive", in_operations),
        File("pids", "pids.current", single(Slot(of.THREADS))),
    )


def _v2(quota: bool, device_name: DeviceName) -> tuple[File, ...]:
    cpu = {**_V2_CPU, **_V2_QUOTA} if quota else _V2_CPU
    return (
        File("cpu", "cpu.stat", pairs(cpu), optional=False),
        File("memory", "memory.current", single(Slot(of.MEMORY_USAGE))),
        File("memory", "memory.peak", single(Slot(of.MEMORY_MAX))),
        File("memory", "memory.swap.current", single(Slot(of.SWAP))),
        File("memory", "memory.stat", pairs(V2_MEMORY)),
        File("memory", "memory.events", pairs(_V2_EVENTS)),
        File("blkio", "io.stat", _v2_disk(device_name)),
        File("pids", "pids.current", single(Slot(of.THREADS))),
        *(File(name, f"{name}.pressure", pressure(name)) for name in ("cpu", "memory")),
        File("blkio", "io.pressure", pressure("io")),
    )


def _fault(kind: str, scope: str) -> Slot:
    return Slot(of.FAILURES, (("failure_type", kind), ("scope", scope)))


_TOTAL_CPU = Slot(of.CPU_USAGE, (("cpu", "total"),))
_KILLS: Mapping[bytes, Sequence[Slot]] = {b"oom_kill": (Slot(None),)}
_V1_CPU = {
    b"user": (Slot(of.CPU_USER, (), _TICKS),),
    b"system": (Slot(of.CPU_SYSTEM, (), _TICKS),),
}
_V1_QUOTA = {
    b"nr_periods": (Slot(of.CFS_PERIODS),),
    b"nr_throttled": (Slot(of.CFS_THROTTLED),),
    b"throttled_time": (Slot(of.CFS_THROTTLED_SECONDS, (), _NS),),
    b"nr_bursts": (Slot(of.CFS_BURSTS),),
    b"burst_time": (Slot(of.CFS_BURST_SECONDS, (), _NS),),
}
V1_MEMORY = {
    b"rss": (Slot(of.RSS),),
    b"cache": (Slot(of.CACHE),),
    b"mapped_file": (Slot(of.MAPPED_FILE),),
    b"swap": (Slot(of.SWAP),),
    b"active_file": (Slot(of.ACTIVE_FILE),),
    b"inactive_file": (Slot(of.INACTIVE_FILE),),
    b"pgfault": (_fault("pgfault", "hierarchy"),),
    b"pgmajfault": (_fault("pgmajfault", "hierarchy"),),
}
V1_OWN = {
    b"pgfault": (_fault("pgfault", "container"),),
    b"pgmajfault": (_fault("pgmajfault", "container"),),
}
_V2_CPU = {
    b"usage_usec": (_TOTAL_CPU._replace(digits=_US),),
    b"user_usec": (Slot(of.CPU_USER, (), _US),),
    b"system_usec": (Slot(of.CPU_SYSTEM, (), _US),),
}
_V2_QUOTA = {
    b"nr_periods": (Slot(of.CFS_PERIODS),),
    b"nr_throttled": (Slot(of.CFS_THROTTLED),),
    b"throttled_usec": (Slot(of.CFS_THROTTLED_SECONDS, (), _US),),
    b"nr_bursts": (Slot(of.CFS_BURSTS),),
    b"burst_usec": (Slot(of.CFS_BURST_SECONDS, (), _US),),
}
V2_MEMORY = {
    b"anon": (Slot(of.RSS),),
    b"file": (Slot(of.CACHE),),
    b"kernel": (Slot(of.KERNEL),),
    b"file_mapped": (Slot(of.MAPPED_FILE),),
    b"file_dirty": (Slot(of.FILE_DIRTY),),
    b"file_writeback": (Slot(of.FILE_WRITEBACK),),
    b"inactive_file": (Slot(of.INACTIVE_FILE),),
    b"active_file": (Slot(of.ACTIVE_FILE),),
    b"workingset_refault_anon": (Slot(of.REFAULT_ANON),),
    b"workingset_refault_file": (Slot(of.REFAULT_FILE),),
    b"pgscan": (Slot(of.PGSCAN),),
    b"pgsteal": (Slot(of.PGSTEAL),),
    b"pgfault": tuple(_fault("pgfault", scope) for scope in ("container", "hierarchy")),
    b"pgmajfault": tuple(_fault("pgmajfault", scope) for scope in ("container", "hierarchy")),
}
_V2_EVENTS = {
    b"high": (Slot(of.EVENTS_HIGH),),
    b"max": (Slot(of.EVENTS_MAX),),
    **_KILLS,
}
_BYTES = {"Read": of.FS_READ_BYTES, "Write": of.FS_WRITE_BYTES}
_OPERATIONS = {"Read": of.FS_READS, "Write": of.FS_WRITES}


def single(slot: Slot) -> Locator:
    """A file that is one number."""

    def locate(lines: Sequence[Line]) -> list[Value]:
        return [Value(slot, 0)] if [len(line.tokens) for line in lines] == [1] else []

    return locate


def pairs(wanted: Mapping[bytes, Sequence[Slot]]) -> Locator:
    """``key value`` lines, as of memory.stat; of a key that comes twice the first counts."""

    def locate(lines: Sequence[Line]) -> list[Value]:
        first = {line.tokens[0]: line.at for line in reversed(lines) if len(line.tokens) == 2}
        return [
            Value(slot, first[key] + 1, (first[key],))
            for key, slots in wanted.items()
            if key in first
            for slot in slots
        ]

    return locate


def per_cpu(online: int) -> Locator:
    """cpuacct.usage_percpu: ns of each CPU that may ever be there; those that are not online have no series."""

    def locate(lines: Sequence[Line]) -> list[Value]:
        count = min(online, len(lines[0].tokens)) if len(lines) == 1 else 0
        return [
            Value(Slot(of.CPU_USAGE, (("cpu", f"cpu{cpu:02d}"),), _NS), cpu) for cpu in range(count)
        ]

    return locate


def v1_memory(lines: Sequence[Line]) -> list[Value]:
    """memory.stat of version 1: ``total_…`` is with the groups below; without a hierarchy there is none."""
    keys = {line.tokens[0] for line in lines if line.tokens}
    total = b"total_" if b"total_rss" in keys else b""
    whole = {total + key: slots for key, slots in V1_MEMORY.items()}
    return [*pairs(whole)(lines), *pairs(V1_OWN)(lines)]


def disk_slots(
    operation: str, numbers: str, device_name: DeviceName, *, in_bytes: bool
) -> list[Slot]:
    """Series of one operation (``Read``) on one device (``254:0``)."""
    device = ("device", device_name(numbers))
    family = (_BYTES if in_bytes else _OPERATIONS).get(operation)
    slots = [Slot(family, (device,))] if family else []
    if in_bytes:
        major, _, minor = numbers.partition(":")
        labels = (device, ("major", major), ("minor", minor), ("operation", operation))
        slots.append(Slot(of.BLKIO, labels))
    return slots


_V1_WORDS = ("Read", "Write", "Sync", "Async", "Discard", "Total")
_V2_WORDS = {
    b"rbytes": ("Read", True),
    b"wbytes": ("Write", True),
    b"rios": ("Read", False),
    b"wios": ("Write", False),
}


def _v1_disk(device_name: DeviceName, *, in_bytes: bool) -> Locator:
    """``254:0 Read 4096`` lines."""

    def locate(lines: Sequence[Line]) -> list[Value]:
        found, seen = [], set()
        for line in lines[: MOST_DEVICES * len(_V1_WORDS)]:
            numbers, operation = _words(line.tokens[:2])
            if (numbers, operation) in seen:
                continue
            seen.add((numbers, operation))
            if len(line.tokens) == 3 and ":" in numbers and operation in _V1_WORDS:
                for slot in disk_slots(operation, numbers, device_name, in_bytes=in_bytes):
                    found.append(Value(slot, line.at + 2, (line.at, line.at + 1)))
        return found

    return locate


def _v2_disk(device_name: DeviceName) -> Locator:
    """``254:0 rbytes=4096 wbytes=0 rios=1 wios=0 …`` lines."""

    def locate(lines: Sequence[Line]) -> list[Value]:
        found, seen = [], set()
        for line in lines[:MOST_DEVICES]:
            device = _device_place(line.tokens)
            numbers, _ = _words(line.tokens[device : device + 1])
            if ":" not in numbers or numbers in seen:
                continue
            seen.add(numbers)
            for place in range(device + 1, len(line.tokens) - 1, 2):
                if line.tokens[place] in _V2_WORDS:
                    at = line.at + place
                    operation, in_bytes = _V2_WORDS[line.tokens[place]]
                    for slot in disk_slots(operation, numbers, device_name, in_bytes=in_bytes):
                        found.append(Value(slot, at + 1, (line.at + device, at)))
        return found

    return locate


def _device_place(tokens: Sequence[bytes]) -> int:
    """Where the device of a line stands: right before its first word.

    A kernel may leave devices without figures unterminated, so that they stand before the next one's.
    """
    return next((at - 1 for at, token in enumerate(tokens) if at and token in _V2_WORDS), 0)


def _words(tokens: Sequence[bytes]) -> tuple[str, str]:
    first, second = (*(token.decode(errors="replace") for token in tokens), "", "")[:2]
    return first, second


def pressure(resource: str) -> Locator:
    """``some avg10=0.00 … total=12`` and ``full …`` lines, µs."""

    def locate(lines: Sequence[Line]) -> list[Value]:
        found = []
        for line in lines[:2]:
            word = {b"some": "waiting", b"full": "stalled"}.get(b"".join(line.tokens[:1]))
            if word and b"total" in line.tokens[:-1]:
                at = line.at + line.tokens.index(b"total")
                slot = Slot(of.PRESSURE[resource, word], (), _US)
                found.append(Value(slot, at + 1, (line.at, at)))
        return found

    return locate


def interfaces(lines: Sequence[Line]) -> list[Value]:
    """/proc/PID/net/dev, after its two lines of heads."""
    found: list[Value] = []
    seen: set[str] = set()
    for line in lines[2:]:
        name = b"".join(line.tokens[:1])
        label = name[:-1].decode(errors="replace")
        if len(line.tokens) < 13 or not name.endswith(b":") or name.startswith(NOT_COUNTED):
            continue
        if label in seen or len(seen) >= MOST_INTERFACES:
            continue
        seen.add(label)
        for family, column in zip(of.NETWORK, _NETWORK_COLUMNS, strict=True):
            slot = Slot(family, (("interface", label),))
            found.append(Value(slot, line.at + column, (line.at,)))
    return found
