"""Memory, processors and disks of the machine, and what each container takes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from recovery.deployments import Facts
from recovery.finding import Finding
from recovery.http import together
from recovery.run import Session
from target.engine import Container

MEMORY_WARNS, MEMORY_FAILS = 80.0, 90.0
HOT_CELSIUS = 80.0
"""A Raspberry Pi slows down from 80 °C on (Raspberry Pi documentation, "Frequency management and thermal control")."""
KERNEL_FLAGS = "add cgroup_enable=memory cgroup_memory=1 to the one line of /boot/firmware/cmdline.txt and reboot"
MEBI = 1024 * 1024
STATS_SECONDS = 10.0


def memory(session: Session, _: Facts) -> list[Finding]:
    """By what is available, as the kernel counts it (proc(5), MemAvailable)."""
    text = (session.settings.proc_root / "meminfo").read_text()
    kilo = {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+) kB", text, re.M)}
    total, available = kilo.get("MemTotal", 0), kilo.get("MemAvailable", 0)
    if not total:
        return [Finding("note", "memory", "the kernel does not tell how much there is")]
    used = 100 * (1 - available / total)
    swap = kilo.get("SwapTotal", 0) - kilo.get("SwapFree", 0)
    words = f"{used:.0f} % of {total // 1024} MiB in use, {available // 1024} MiB available, {swap // 1024} MiB swapped"
    mend = "docker stats --no-stream; free -m"
    if used > MEMORY_FAILS:
        return [Finding("problem", "memory", words, mend)]
    if used > MEMORY_WARNS:
        return [Finding("warning", "memory", words, mend)]
    return [Finding("ok", "memory", words)]


def memory_controller(session: Session, _: Facts) -> list[Finding]:
    """Raspberry Pi kernels have it switched off: then no limit holds, and nobody knows what a container takes."""
    root = session.settings.cgroup_root
    listing = root / "cgroup.controllers"
    on = "memory" in (listing.read_text().split() if listing.exists() else _names(root))
    if on:
        return [Finding("ok", "memory controller", "on")]
    words = "off: memory limits of containers do not hold"
    return [Finding("warning", "memory controller", words, KERNEL_FLAGS)]


def temperature(session: Session, _: Facts) -> Iterator[Finding]:
    """The hottest zone, where the machine has any."""
    found = []
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*/temp")):
        try:
            found.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):
            continue  # a zone that cannot tell just now
    if found:
        words = f"{max(found):.0f} °C"
        hot = max(found) >= HOT_CELSIUS
        yield Finding(
            "warning" if hot else "ok",
            "temperature",
            words,
            "cool it: it runs slower now" if hot else "",
        )


def container_usage(session: Session, facts: Facts) -> Iterator[Finding]:
    """What each running container takes now, by the Engine's own count."""
    running = [c for c in facts.containers if c.running]
    asked = [partial(session.engine.stats, c.id) for c in running]
    for container, stats in zip(running, together(asked, STATS_SECONDS), strict=True):
        if stats is None:
            yield Finding("warning", container.name, "the Engine does not tell what it takes")
        else:
            yield _usage(container, stats)


def _usage(container: Container, stats: Mapping[str, Any]) -> Finding:
    """Docker Engine API, "Get container stats based on resource usage": what cache can give back is not counted."""
    memory = stats.get("memory_stats") or {}
    detail = memory.get("stats") or {}
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    used, limit = max(0, memory.get("usage", 0) - cache), memory.get("limit", 0)
    cpu = _cpu_percent(stats)
    words = f"{cpu:.0f} % of one processor, {used // MEBI} MiB"
    if limit:
        words += f" of {limit // MEBI} MiB ({100 * used / limit:.0f} %)"
    if limit and 100 * used / limit > MEMORY_FAILS:
        mend = "raise mem_limit of its service, or sermon-recovery restart-services"
        return Finding("problem", container.name, words, mend)
    return Finding("ok", container.name, words)


def _cpu_percent(stats: Mapping[str, Any]) -> float:
    now, before = stats.get("cpu_stats") or {}, stats.get("precpu_stats") or {}
    busy = _total(now) - _total(before)
    system = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    return 100.0 * now.get("online_cpus", 1) * busy / system if system > 0 and busy > 0 else 0.0


def _total(stats: Mapping[str, Any]) -> int:
    return int((stats.get("cpu_usage") or {}).get("total_usage", 0))


def _names(root: Path) -> set[str]:
    """cgroup v1: a folder a controller."""
    return {name for entry in root.iterdir() for name in entry.name.split(",")}
