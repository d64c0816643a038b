"""How busy the machine is: load averages, pressure stalls, open files.

Formats: proc_loadavg(5), the kernel's Documentation/accounting/psi.rst and
Documentation/admin-guide/sysctl/fs.rst (file-nr).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from pathlib import Path

from exporter.exposition import Samples
from exporter.host.kept import KeptFile
from exporter.host.rows import Scalar, all_counts, microseconds

_LOAD = re.compile(rb"(\d{1,9}\.\d{2}) (\d{1,9}\.\d{2}) (\d{1,9}\.\d{2})(?:\s|$)")
_LOADS = tuple(
    Scalar(f"node_load{minutes}", "gauge", f"{minutes}m load average.") for minutes in (1, 5, 15)
)
_STALL = re.compile(rb"^(some|full) avg10=\S+ avg60=\S+ avg300=\S+ total=(\d{1,20})$", re.MULTILINE)
_STALLS = {
    "cpu": {
        b"some": Scalar(
            "node_pressure_cpu_waiting_seconds_total",
            "counter",
            "Total time in seconds that processes have waited for CPU time.",
        )
    },
    "io": {
        b"some": Scalar(
            "node_pressure_io_waiting_seconds_total",
            "counter",
            "Total time in seconds that processes have waited due to IO congestion.",
        ),
        b"full": Scalar(
            "node_pressure_io_stalled_seconds_total",
            "counter",
            "Total time in seconds no process could make progress due to IO congestion.",
        ),
    },
    "memory": {
        b"some": Scalar(
            "node_pressure_memory_waiting_seconds_total",
            "counter",
            "Total time in seconds that processes have waited for memory.",
        ),
        b"full": Scalar(
            "node_pressure_memory_stalled_seconds_total",
            "counter",
            "Total time in seconds no process could make progress due to memory congestion.",
        ),
    },
    "irq": {
        b"full": Scalar(
            "node_pressure_irq_stalled_seconds_total",
            "counter",
            "Total time in seconds no process could make progress due to IRQ congestion.",
        )
    },
}
_ALLOCATED = Scalar("node_filefd_allocated", "gauge", "File descriptors allocated.")
_MAXIMUM = Scalar("node_filefd_maximum", "gauge", "Most file descriptors that can be allocated.")


def parse_loadavg(content: bytes) -> tuple[bytes, bytes, bytes]:
    """Of 1, 5 and 15 minutes, as the kernel writes them. Raises ValueError."""
    found = _LOAD.match(content)
    if found is None:
        raise ValueError("/proc/loadavg does not begin with three load averages")
    return found[1], found[2], found[3]


def parse_pressure(content: bytes) -> dict[bytes, bytes]:
    """Microseconds stalled since boot, by ``some`` and ``full``."""
    return dict(_STALL.findall(content))


def parse_file_nr(content: bytes) -> tuple[bytes, bytes]:
    """Allocated file handles and the most that there may be. Raises ValueError."""
    numbers = content.split()
    if len(numbers) != 3 or not all_counts(numbers):
        raise ValueError("/proc/sys/fs/file-nr is not of three numbers")
    return numbers[0], numbers[2]


class LoadavgArea:
    name = "loadavg"
    optional = False

    def __init__(self, proc: Path) -> None:
        self._file = KeptFile(proc / "loadavg")

    def read(self) -> Sequence[Samples]:
        loads = parse_loadavg(self._file.read())
        return [one.holding(load) for one, load in zip(_LOADS, loads, strict=True)]


class PressureArea:
    """Raspberry Pi OS has it only with ``psi=1`` in cmdline.txt; ``irq`` is in few kernels."""

    name = "pressure"
    optional = True

    def __init__(self, proc: Path) -> None:
        self._files = {resource: KeptFile(proc / "pressure" / resource) for resource in _STALLS}

    def read(self) -> Sequence[Samples]:
        found = []
        for resource, file in tuple(self._files.items()):
            try:
                stalls = parse_pressure(file.read())
            except FileNotFoundError:
                del self._files[resource]  # until the next boot
                continue
            found += [
                scalar.holding(microseconds(stalls[kind]))
                for kind, scalar in _STALLS[resource].items()
                if kind in stalls
            ]
        if not self._files:
            raise FileNotFoundError(errno.ENOENT, "no /proc/pressure: the kernel does not tell it")
        return found


class FilefdArea:
    name = "filefd"
    optional = False

    def __init__(self, proc: Path) -> None:
        self._file = KeptFile(proc / "sys/fs/file-nr")

    def read(self) -> Sequence[Samples]:
        allocated, most = parse_file_nr(self._file.read())
        return [_ALLOCATED.holding(allocated), _MAXIMUM.holding(most)]
