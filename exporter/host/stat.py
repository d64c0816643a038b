"""/proc/stat: the processors' time, and the kernel's counts of switches, interrupts and processes.

Format: proc_stat(5). Processor times are in ticks of 1/100 s, USER_HZ, on every machine that we run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.exposition import Family, Samples
from exporter.host.kept import KeptFile
from exporter.host.rows import Scalar, all_counts, template

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
GUEST_MODES = ("user", "nice")
_ALL = len(MODES) + len(GUEST_MODES)
_IDLE = MODES.index("idle")
_TICKS_PER_SECOND = 100
JUMP_BACK_SECONDS = 3
"""node_exporter's: when idle time falls by so much, the processor was taken away and came back."""

_CPU = Family("node_cpu_seconds_total", "counter", "Seconds the CPUs spent in each mode.")
_GUEST = Family(
    "node_cpu_guest_seconds_total",
    "counter",
    "Seconds the CPUs spent in guests (VMs) for each mode.",
)
_TOTALS = {
    b"intr": Scalar("node_intr_total", "counter", "Total number of interrupts serviced."),
    b"ctxt": Scalar("node_context_switches_total", "counter", "Total number of context switches."),
    b"btime": Scalar("node_boot_time_seconds", "gauge", "Node boot time, in unixtime."),
    b"processes": Scalar("node_forks_total", "counter", "Total number of forks."),
    b"procs_running": Scalar(
        "node_procs_running", "gauge", "Number of processes in runnable state."
    ),
    b"procs_blocked": Scalar(
        "node_procs_blocked", "gauge", "Number of processes blocked waiting for I/O to complete."
    ),
}


class Stat(NamedTuple):
    """``cpus``: ticks by processor number, in the order of MODES and then GUEST_MODES."""

    cpus: dict[str, list[int]]
    totals: dict[bytes, bytes]


def parse_stat(content: bytes) -> Stat:
    """A line that makes no sense is left out."""
    cpus: dict[str, list[int]] = {}
    totals: dict[bytes, bytes] = {}
    for line in content.split(b"\n"):
        name, _, rest = line.partition(b" ")
        if name in _TOTALS:
            value = rest.partition(b" ")[0]  # the first of intr's thousands is their sum
            if all_counts([value]):
                totals[name] = value
        elif name.startswith(b"cpu") and all_counts([name[3:]]):
            ticks = rest.split()[:_ALL]
            if len(ticks) == _ALL and all_counts(ticks):
                cpus[name[3:].decode()] = list(map(int, ticks))
    return Stat(cpus, totals)


def forward(before: list[int] | None, now: list[int]) -> list[int]:
    """``now`` without what fell a little since ``before``: the kernel's idle and iowait times may."""
    if before is None or before[_IDLE] - now[_IDLE] >= JUMP_BACK_SECONDS * _TICKS_PER_SECOND:
        return now
    return list(map(max, before, now))


class StatArea:
    """Processors that are offline have no samples."""

    name = "stat"
    optional = False

    def __init__(self, proc: Path) -> None:
        self._file = KeptFile(proc / "stat")
        self._cpus: dict[str, list[int]] = {}
        self._names: tuple[str, ...] = ()
        self._times = self._guests = b""

    def read(self) -> Sequence[Samples]:
        stat = parse_stat(self._file.read())
        if not stat.cpus:
            raise ValueError("no processor in /proc/stat")
        self._cpus = {name: forward(self._cpus.get(name), now) for name, now in stat.cpus.items()}
        if tuple(self._cpus) != self._names:
            self._names = tuple(self._cpus)
            self._times = _template(_CPU, self._names, MODES)
            self._guests = _template(_GUEST, self._names, GUEST_MODES)
        cpus, own = self._cpus.values(), len(MODES)
        times = [ticks / _TICKS_PER_SECOND for cpu in cpus for ticks in cpu[:own]]
        guests = [ticks / _TICKS_PER_SECOND for cpu in cpus for ticks in cpu[own:]]
        return [
            Samples(_CPU, self._times % tuple(times)),
            Samples(_GUEST, self._guests % tuple(guests)),
            *(_TOTALS[name].holding(value) for name, value in stat.totals.items()),
        ]


def _template(family: Family, cpus: Sequence[str], modes: Sequence[str]) -> bytes:
    # Two places are all there are; of a float they are exact for a million years.
    return template((family.series(cpu=cpu, mode=mode), b"%.2f") for cpu in cpus for mode in modes)
