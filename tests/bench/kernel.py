"""What the kernel says that processes cost: CPU of their whole lives, memory that is theirs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

_SCHEDULED = 2


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU seconds that the processes have used up to now, threads that have ended included.

    The clock of another process (clock_getcpuclockid(3): ``~pid << 3 | CPUCLOCK_SCHED``) counts in
    nanoseconds; /proc/PID/stat counts in hundredths of a second. Raises OSError when one has ended.
    """
    return sum(time.clock_gettime(~pid << 3 | _SCHEDULED) for pid in pids)


def family(pid: int) -> list[int]:
    """``pid`` and all its descendants."""
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += family(int(child))
    return found


def pss_mib(pids: Iterable[int]) -> float:
    """Proportional set size in MiB (proc(5), smaps_rollup): a page that n processes share counts 1/n for each."""
    return sum(_kib(pid, "Pss:") for pid in pids) / 1024


def resident_mib(pids: Iterable[int]) -> float:
    """Resident set size in MiB: what the proportional one would be if no other process had the same files in memory."""
    return sum(_kib(pid, "Rss:") for pid in pids) / 1024


def anonymous_mib(pids: Iterable[int]) -> float:
    """What they have allocated, in MiB: unlike PSS not a matter of who else has the same files in memory."""
    return sum(_kib(pid, "Anonymous:") for pid in pids) / 1024


def _kib(pid: int, key: str) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    for line in rollup.read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    raise ValueError(f"{rollup}: no {key}")


def wakeups(pid: int) -> int:
    """How often the process's living threads have gone to sleep by themselves (voluntary context switches)."""
    return sum(
        int(line.split()[1])
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
