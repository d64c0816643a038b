"""How the machine is at this moment, in lines for people: load, memory, pressure, disks.

Formats: proc_loadavg(5), proc_meminfo(5), the kernel's Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_MOST_BYTES = 64 * 1024
_DISK_SECONDS = 1.0
"""A dead network mount never answers; nobody waits for it longer than this."""
_MEMORY = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree")


def load_line(loadavg: str, processors: int | None) -> str:
    """Pure."""
    found = re.match(r"(\d+\.\d+) (\d+\.\d+) (\d+\.\d+)", loadavg)
    if not found:
        return "load: cannot be read"
    of = f", {processors} processors" if processors else ""
    return f"load: {found[1]} (1 min) {found[2]} (5 min) {found[3]} (15 min){of}"


def memory_line(meminfo: str) -> str:
    """Pure."""
    kib = dict(re.findall(r"^(\w+): +(\d{1,15}) kB$", meminfo, re.MULTILINE))
    if "MemTotal" not in kib:
        return "memory: cannot be read"
    told = [f"{name} {int(kib[name]) // 1024} MiB" for name in _MEMORY if name in kib]
    return f"memory: {', '.join(told)}"


def pressure_line(resource: str, text: str) -> str:
    """Pure."""
    found = re.findall(r"^(some|full) avg10=(\S+) avg60=(\S+) avg300=(\S+)", text, re.MULTILINE)
    if not found:
        return f"pressure {resource}: the kernel does not tell (a Raspberry Pi needs psi=1)"
    told = [f"{kind} {a} % (10 s) {b} % (1 min) {c} % (5 min)" for kind, a, b, c in found]
    return f"pressure {resource}: {'; '.join(told)}"


@dataclass(frozen=True)
class Disk:
    """A filesystem by a path on it; bytes. ``total`` 0: it does not answer, or is not there."""

    path: str
    total: int
    available: int

    @property
    def used_percent(self) -> float:
        return 100 * (1 - self.available / self.total) if self.total else 0.0

    @property
    def words(self) -> str:
        if not self.total:
            return f"{self.path}: does not answer or is not there"
        free = f"{self.available / 2**30:.1f} of {self.total / 2**30:.1f} GiB free"
        return f"{self.path}: {self.used_percent:.0f} % used, {free}"


def host_lines(proc_root: Path, rootfs: Path, paths: Iterable[str]) -> list[str]:
    """``paths``: places on the host whose disks are told of besides its root. Never fails."""
    lines = [
        load_line(_read(proc_root / "loadavg"), os.cpu_count()),
        memory_line(_read(proc_root / "meminfo")),
    ]
    for resource in ("cpu", "memory", "io"):
        lines.append(pressure_line(resource, _read(proc_root / "pressure" / resource)))
    return lines + _disks(rootfs, ["/", *paths])


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _disks(rootfs: Path, paths: Iterable[str]) -> list[str]:
    return [f"disk {one.words}" for one in disks(rootfs, paths)]


def disks(rootfs: Path, paths: Iterable[str]) -> list[Disk]:
    """One a filesystem, named by the first path that lies on it; without a size where it does not answer."""
    seen: set[int] = set()
    found = []
    for path in dict.fromkeys(paths):
        told = _statvfs(rootfs / path.lstrip("/"))
        if told is None:
            found.append(Disk(path, 0, 0))
        elif told.f_fsid not in seen:
            seen.add(told.f_fsid)
            size = told.f_frsize
            found.append(Disk(path, told.f_blocks * size, told.f_bavail * size))
    return found


def _statvfs(path: Path) -> os.statvfs_result | None:
    found: list[os.statvfs_result] = []

    def ask() -> None:
        try:
            found.append(os.statvfs(path))
        except (OSError, ValueError):
            return

    # In a thread of its own, which may stay behind: nothing can end a call to a dead mount.
    asking = threading.Thread(target=ask, name="statvfs", daemon=True)
    asking.start()
    asking.join(_DISK_SECONDS)
    return found[0] if found else None
