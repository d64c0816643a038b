"""What ``check`` says of the machine itself: whether there is room for anything to work."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import psutil

from sermon_monitor.finding import Finding
from sermon_monitor.settings import Settings
from target.durations import format_duration

_GIB = 1024**3


def machine(settings: Settings) -> list[Finding]:
    """One line; a note where memory or swap is above what HighMemoryUsage asks for."""
    before, psutil.PROCFS_PATH = psutil.PROCFS_PATH, str(settings.proc_root)
    try:
        memory, swap, cores = psutil.virtual_memory(), psutil.swap_memory(), psutil.cpu_count()
        up = datetime.now(UTC) - datetime.fromtimestamp(psutil.boot_time(), UTC)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        words = f"{settings.proc_root} cannot be read: {type(error).__name__}"
        return [Finding("problem", "machine", words, "set PROC_ROOT to where the host's /proc is")]
    finally:
        psutil.PROCFS_PATH = before
    words = (
        f"{cores} cores with a load of {os.getloadavg()[0]:.1f}, {memory.available / _GIB:.1f} of "
        f"{memory.total / _GIB:.1f} GiB memory available, up for {format_duration(_rounded(up))}"
    )
    if memory.percent > settings.memory_usage_threshold:
        return [Finding("note", "machine", words, "free memory: `docker stats` shows who has it")]
    if swap.percent > settings.memory_usage_threshold:
        return [Finding("note", "machine", f"{words}; swap is nearly full", "free memory")]
    return [Finding("ok", "machine", words)]


def _rounded(up: timedelta) -> timedelta:
    return timedelta(minutes=max(0, int(up.total_seconds() // 60)))
