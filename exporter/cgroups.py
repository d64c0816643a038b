"""A container's control group: where it is, and what its files say. Pure parsers of bytes, and one reader.

Files: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/{cpuacct,memory}.rst. What
each becomes is what cAdvisor makes of it (google/cadvisor lib/metrics/prometheus.go).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_UNLIMITED = 1 << 62
V1_CPU = ("cpuacct", "cpu,cpuacct", "cpuacct,cpu")
V1_MEMORY = ("memory",)


class CgroupError(Exception):
    """The group cannot be read. ``reason`` is one of REASONS."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


REASONS = ("path", "missing", "process")
"""path: refused, as a private cgroup namespace shows it; missing: no such files; process: no /proc/PID."""


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU time."""

    usage: float
    user: float
    system: float


@dataclass(frozen=True)
class Memory:
    """Bytes. ``working_set`` is usage without what the page cache can give back at once; ``limit`` 0 is none."""

    usage: int
    working_set: int
    rss: int
    cache: int
    limit: int


@dataclass(frozen=True)
class Usage:
    """``memory`` is None where the kernel has no memory controller: nothing is known, which is not 0."""

    path: str
    cpu: Cpu
    memory: Memory | None


def parse_pairs(content: bytes) -> dict[str, int]:
    """``key value`` lines, as of memory.stat and cpu.stat; a line that is none is left out."""
    pairs = {}
    for line in content.splitlines():
        key, _, value = line.partition(b" ")
        if value.strip().isdigit():
            pairs[key.decode(errors="replace")] = int(value)
    return pairs


def parse_limit(content: bytes) -> int:
    """Bytes; 0 for ``max`` and for version 1's number near 2^63, which both mean none. Raises ValueError."""
    text = content.strip()
    if text == b"max":
        return 0
    limit = int(text)
    return 0 if limit > _UNLIMITED else limit


def parse_proc_cgroup(content: bytes) -> dict[str, str]:
    """Path by controller, from ``/proc/PID/cgroup``; the unified hierarchy's controller is ``""``."""
    paths = {}
    for line in content.decode(errors="surrogateescape").splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon:
            paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def group_path(paths: Mapping[str, str], controllers: Iterable[str], container_id: str) -> str:
    """The group's path below the hierarchy's root. Raises CgroupError for one that cannot be the container's.

    A path that leaves the root is what a private cgroup namespace shows of another; a path without
    the container's id belongs to a process that has taken over a dead one's number.
    """
    path = next((paths[name] for name in controllers if name in paths), None)
    if path is None:
        raise CgroupError("missing", "the process is in no control group of that hierarchy")
    if not path.startswith("/") or ".." in path.split("/"):
        raise CgroupError(
            "path", f"control group {path!r}: not to be seen from our cgroup namespace"
        )
    if container_id not in path:
        raise CgroupError("process", "the process is no longer the container's")
    return path


def cpu_v1(usage: bytes, stat: bytes) -> Cpu:
    """From cpuacct.usage (ns) and cpuacct.stat (ticks). Raises ValueError."""
    ticks = parse_pairs(stat)
    return Cpu(int(usage) / 1e9, ticks.get("user", 0) / _TICKS, ticks.get("system", 0) / _TICKS)


def cpu_v2(stat: bytes) -> Cpu:
    """From cpu.stat (µs). Raises ValueError where it has no usage."""
    pairs = parse_pairs(stat)
    if "usage_usec" not in pairs:
        raise ValueError("cpu.stat without usage_usec")
    return Cpu(
        pairs["usage_usec"] / 1e6,
        pairs.get("user_usec", 0) / 1e6,
        pairs.get("system_usec", 0) / 1e6,
    )


def memory_v1(usage: bytes, stat: bytes, limit: bytes) -> Memory:
    """From memory.usage_in_bytes, memory.stat, memory.limit_in_bytes. Raises ValueError."""
    pairs, used = parse_pairs(stat), int(usage)
    inactive = pairs.get("total_inactive_file", pairs.get("inactive_file", 0))
    return Memory(
        usage=used,
        working_set=max(0, used - inactive),
        rss=pairs.get("total_rss", pairs.get("rss", 0)),
        cache=pairs.get("total_cache", pairs.get("cache", 0)),
        limit=parse_limit(limit),
    )


def memory_v2(current: bytes, stat: bytes, limit: bytes) -> Memory:
    """From memory.current, memory.stat, memory.max. Raises ValueError."""
    pairs, used = parse_pairs(stat), int(current)
    return Memory(
        usage=used,
        working_set=max(0, used - pairs.get("inactive_file", 0)),
        rss=pairs.get("anon", 0),
        cache=pairs.get("file", 0),
        limit=parse_limit(limit),
    )


class Cgroups:
    """Reads the groups below CGROUP_ROOT of processes below PROC_ROOT."""

    def __init__(self, cgroup_root: Path, proc_root: Path) -> None:
        self._root = cgroup_root
        self._proc = proc_root

    @property
    def unified(self) -> bool:
        """Whether this is version 2."""
        return (self._root / "cgroup.controllers").exists()

    def memory_available(self) -> bool:
        """Whether the kernel has the memory controller switched on; a Raspberry Pi's has not by default."""
        try:
            if self.unified:
                return b"memory" in (self._root / "cgroup.controllers").read_bytes().split()
        except OSError:
            return False
        return self._v1_root(V1_MEMORY) is not None

    def read(self, pid: int, container_id: str) -> Usage:
        """What the container uses now. Raises CgroupError."""
        try:
            paths = parse_proc_cgroup((self._proc / str(pid) / "cgroup").read_bytes())
        except OSError as error:
            raise CgroupError("process", f"/proc/{pid}/cgroup: {error.strerror}") from error
        try:
            return (self._v2 if self.unified else self._v1)(paths, container_id)
        except (OSError, ValueError) as error:
            raise CgroupError("missing", f"control group files: {error}") from error

    def _v1(self, paths: Mapping[str, str], container_id: str) -> Usage:
        path = group_path(paths, ("cpuacct",), container_id)
        root = self._v1_root(V1_CPU)
        if root is None:
            raise CgroupError("missing", f"no cpuacct hierarchy below {self._root}")
        group = root / path.lstrip("/")
        cpu = cpu_v1(_read(group, "cpuacct.usage"), _read(group, "cpuacct.stat"))
        memory_root = self._v1_root(V1_MEMORY)
        if memory_root is None or "memory" not in paths:
            return Usage(path, cpu, None)
        group = memory_root / group_path(paths, V1_MEMORY, container_id).lstrip("/")
        names = ("memory.usage_in_bytes", "memory.stat", "memory.limit_in_bytes")
        return Usage(path, cpu, memory_v1(*(_read(group, name) for name in names)))

    def _v2(self, paths: Mapping[str, str], container_id: str) -> Usage:
        path = group_path(paths, ("",), container_id)
        group = self._root / path.lstrip("/")
        cpu = cpu_v2(_read(group, "cpu.stat"))
        names = ("memory.current", "memory.stat", "memory.max")
        if not (group / names[0]).exists():
            return Usage(path, cpu, None)
        return Usage(path, cpu, memory_v2(*(_read(group, name) for name in names)))

    def _v1_root(self, names: Iterable[str]) -> Path | None:
        return next((self._root / name for name in names if (self._root / name).is_dir()), None)


def _read(group: Path, name: str) -> bytes:
    return (group / name).read_bytes()
