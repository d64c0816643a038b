"""A container's limits, as its control group has them. They change with ``docker update`` only.

Files: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1; what each becomes is what
cAdvisor makes of it (google/cadvisor lib/container/common/helpers.go).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from exporter import container_families as of
from exporter.cgroups import Group
from exporter.exposition import Family

_UNLIMITED = 1 << 62
_FIRST_BYTES = 256


@dataclass(frozen=True)
class Limits:
    """None is what the kernel does not say. Bytes, µs; of memory, swap and threads 0 is no limit."""

    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpu_shares: int | None = None
    memory: int | None = None
    reservation: int | None = None
    swap: int | None = None
    threads: int | None = None

    @property
    def has_quota(self) -> bool:
        return self.cpu_quota is not None and self.cpu_quota > 0

    def told(self) -> Iterator[tuple[Family, int]]:
        """What is exported: no quota where there is none."""
        quota = self.cpu_quota if self.has_quota else None
        for family, value in (
            (of.CPU_PERIOD, self.cpu_period),
            (of.CPU_QUOTA, quota),
            (of.CPU_SHARES, self.cpu_shares),
            (of.MEMORY_LIMIT, self.memory),
            (of.MEMORY_RESERVATION, self.reservation),
            (of.SWAP_LIMIT, self.swap),
            (of.THREADS_MAX, self.threads),
        ):
            if value is not None:
                yield family, value


def parse_limit(content: bytes) -> int | None:
    """A number; 0 for ``max`` and for version 1's number near 2^63, which both mean none. None for anything else."""
    text = content.strip()
    if text == b"max":
        return 0
    if not text.removeprefix(b"-").isdigit() or len(text) > 20:
        return None
    return 0 if int(text) > _UNLIMITED else int(text)


def parse_cpu_max(content: bytes) -> tuple[int | None, int | None]:
    """Quota (0 is none) and period in µs, from cpu.max: ``max 100000`` or ``50000 100000``."""
    parts = content.split()
    if len(parts) != 2:
        return None, None
    return parse_limit(parts[0]), parse_limit(parts[1])


def shares_of_weight(weight: int | None) -> int | None:
    """Version 1's shares (2 to 262144) for version 2's weight (1 to 10000), as cAdvisor turns one into the other."""
    return None if weight is None else 2 + (weight - 1) * 262142 // 9999


def read_limits(group: Group) -> Limits:
    """Never raises: what cannot be read is not known."""
    return _v1(group) if group.version == 1 else _v2(group)


def _v1(group: Group) -> Limits:
    return Limits(
        cpu_period=parse_limit(_content(group, "cpu", "cpu.cfs_period_us")),
        cpu_quota=parse_limit(_content(group, "cpu", "cpu.cfs_quota_us")),
        cpu_shares=parse_limit(_content(group, "cpu", "cpu.shares")),
        memory=parse_limit(_content(group, "memory", "memory.limit_in_bytes")),
        reservation=parse_limit(_content(group, "memory", "memory.soft_limit_in_bytes")),
        swap=parse_limit(_content(group, "memory", "memory.memsw.limit_in_bytes")),
        threads=parse_limit(_content(group, "pids", "pids.max")),
    )


def _v2(group: Group) -> Limits:
    quota, period = parse_cpu_max(_content(group, "cpu", "cpu.max"))
    return Limits(
        cpu_period=period,
        cpu_quota=quota,
        cpu_shares=shares_of_weight(parse_limit(_content(group, "cpu", "cpu.weight"))),
        memory=parse_limit(_content(group, "memory", "memory.max")),
        reservation=parse_limit(_content(group, "memory", "memory.min")),
        swap=parse_limit(_content(group, "memory", "memory.swap.max")),
        threads=parse_limit(_content(group, "pids", "pids.max")),
    )


def _content(group: Group, controller: str, name: str) -> bytes:
    if controller not in group.directories:
        return b""
    try:
        fd = os.open(group.directories[controller] / name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""  # that kernel has no such limit
    try:
        return os.pread(fd, _FIRST_BYTES, 0)
    except OSError:
        return b""  # a limit of what is switched off
    finally:
        os.close(fd)
