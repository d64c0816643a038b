"""This process: its version, process_* and python_* by prometheus_client's names, and what others registered."""

from __future__ import annotations

import gc
import os
import platform
import resource
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from prometheus_client import CollectorRegistry

from exporter.exposition import Family, Samples, from_metrics, number
from exporter.host.kept import KeptFile
from exporter.host.rows import Scalar, all_counts, template
from exporter.scrape import CollectorError, Reading

_CPU = Scalar(
    "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds."
)
_VIRTUAL = Scalar("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.")
_RESIDENT = Scalar("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.")
_OPEN = Scalar("process_open_fds", "gauge", "Number of open file descriptors.")
_MOST = Scalar("process_max_fds", "gauge", "Maximum number of open file descriptors.")
_START = Scalar(
    "process_start_time_seconds",
    "gauge",
    "Start time of the process since unix epoch in seconds.",
)
_GENERATIONS = tuple(
    (key, Family(f"python_gc_{name}_total", "counter", text))
    for key, name, text in (
        ("collected", "objects_collected", "Objects collected during gc."),
        ("uncollectable", "objects_uncollectable", "Uncollectable objects found during GC."),
        ("collections", "collections", "Number of times this generation was collected."),
    )
)
_GC_LINES = {
    family: template((family.series(generation=str(one)), b"%d") for one in range(3))
    for _, family in _GENERATIONS
}
_PYTHON = Family("python_info", "gauge", "Python platform information.")
_BUILD = Family("sermon_monitor_build_info", "gauge", "The version of Sermon Monitor.")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_STARTTIME = 22 - 3
"""Its place among the fields of proc_pid_stat(5) after the name, which may hold blanks."""


class ProcessesOwnCollector:
    """Beside its own figures what is registered in ``registry``, whoever registered it."""

    name = "process"

    def __init__(self, registry: CollectorRegistry, proc: Path = Path("/proc")) -> None:
        self._registry = registry
        self._self = proc / "self"
        self._memory = KeptFile(self._self / "statm")
        self._fixed = [
            Samples(_BUILD, _BUILD.series(version=own_version()) + b"1\n"),
            Samples(_PYTHON, _PYTHON.series(**_python()) + b"1\n"),
        ]
        self._start: Samples | None = None
        self._proc = proc

    async def run(self) -> None:
        return None

    def begin(self) -> Reading:
        # Read in the thread: what others registered may read files or a database.
        return self._read

    def _read(self) -> Sequence[Samples]:
        """Where /proc is hidden, in part or altogether, the rest is told all the same."""
        samples = [
            *self._fixed,
            _CPU.holding(number(round(time.process_time(), 6))),
            _MOST.holding(b"%d" % resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
            *_garbage(),
            *from_metrics(self._registry.collect()),
        ]
        problems = []
        for part in (self._of_start, self._of_memory, self._of_descriptors):
            try:
                samples += part()
            except (OSError, ValueError) as error:
                problems.append(str(error))
        if problems:
            raise CollectorError("; ".join(problems), samples)
        return samples

    def _of_start(self) -> Sequence[Samples]:
        if self._start is None:
            self._start = _START.holding(number(start_time(self._proc)))
        return (self._start,)

    def _of_memory(self) -> Sequence[Samples]:
        virtual, resident = parse_statm(self._memory.read())
        return (_VIRTUAL.holding(b"%d" % virtual), _RESIDENT.holding(b"%d" % resident))

    def _of_descriptors(self) -> Sequence[Samples]:
        return (_OPEN.holding(b"%d" % open_descriptors(self._self / "fd")),)


def parse_statm(content: bytes) -> tuple[int, int]:
    """Virtual and resident memory in bytes, from /proc/PID/statm (proc_pid_statm(5)). Raises ValueError."""
    pages = content.split()[:2]
    if len(pages) != 2 or not all_counts(pages):
        raise ValueError("statm is not of numbers")
    return int(pages[0]) * _PAGE_BYTES, int(pages[1]) * _PAGE_BYTES


def parse_start(stat: bytes, boot: float) -> float:
    """Unix time of a process's start, from /proc/PID/stat and that of the machine's. Raises ValueError."""
    fields = stat.rpartition(b")")[2].split()
    if len(fields) <= _STARTTIME:
        raise ValueError("no start time in stat")
    return boot + int(fields[_STARTTIME]) / _TICKS_PER_SECOND


def boot_time(proc: Path) -> float:
    """Unix time of the machine's start: as /proc/stat has it, else by the clocks (``subset=pid`` of proc(5) hides it)."""
    try:
        lines = (proc / "stat").read_bytes().split(b"\n")
    except OSError:
        lines = []
    told = [int(line.split()[1]) for line in lines if line.startswith(b"btime ")]
    return told[0] if told else time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def start_time(proc: Path) -> float:
    """Of this process. Raises OSError or ValueError where /proc is not Linux's own."""
    return parse_start((proc / "self/stat").read_bytes(), boot_time(proc))


def open_descriptors(directory: Path) -> int:
    """How many are open. Since Linux 6.2 the directory's size tells it; before, it has to be listed."""
    told = directory.stat().st_size
    return told or sum(1 for _ in directory.iterdir()) - 1  # without the listing's own


def _garbage() -> Sequence[Samples]:
    generations = gc.get_stats()
    return [
        Samples(family, _GC_LINES[family] % tuple(one[key] for one in generations))
        for key, family in _GENERATIONS
    ]


def _python() -> dict[str, str]:
    major, minor, patchlevel = platform.python_version_tuple()
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "major": major,
        "minor": minor,
        "patchlevel": patchlevel,
    }


def own_version() -> str:
    """The installed package's version; ``unknown`` when it runs from a bare checkout."""
    try:
        return version("sermon-monitor")
    except PackageNotFoundError:
        return "unknown"
