"""This machine as its kernel tells it, beside what an exporter says of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path


def shows_this_machine(ask: Callable[[], str]) -> str:
    """What ``ask`` tells. Raises AssertionError where cpu, memory, disks or network are not this machine's.

    A container has as many cores and links of the same names: the links' counts lie between ours of before
    and after, the root is on our device.
    """
    before = _received()
    exposition = ask()
    after = _received()
    stat = Path("/proc/stat").read_text()
    cores = set(re.findall(r"^cpu(\d+) ", stat, re.M))
    assert set(re.findall(r'^node_cpu_seconds_total\{cpu="(\d+)"', exposition, re.M)) == cores
    booted = float(re.findall(r"^btime (\d+)", stat, re.M)[0])
    assert abs(value(exposition, "node_boot_time_seconds") - booted) <= 2
    total = int(re.findall(r"^MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)[0])
    assert value(exposition, "node_memory_MemTotal_bytes") == total * 1024
    root, device = os.statvfs("/"), _root_device()
    series = (
        rf'node_filesystem_size_bytes\{{device="{re.escape(device)}"[^}}]*mountpoint="/"[^}}]*\}}'
    )
    assert value(exposition, series) == root.f_frsize * root.f_blocks
    disks = {line.split()[2] for line in Path("/proc/diskstats").read_text().splitlines()}
    told = set(re.findall(r'^node_disk_read_bytes_total\{device="([^"]+)"', exposition, re.M))
    assert told
    assert told <= disks
    links = r'^node_network_receive_bytes_total\{device="([^"]+)"\} (\S+)'
    seen = {link: float(count) for link, count in re.findall(links, exposition, re.M)}
    lasting = seen.keys() & before.keys() & after.keys()  # other Engines' bridges come and go
    assert "lo" in lasting
    for link in lasting:
        assert before[link] <= seen[link] <= after[link], f"{link}: another link of that name"
    return exposition


def _received() -> dict[str, int]:
    """Bytes by link (proc(5), /proc/net/dev)."""
    lines = Path("/proc/1/net/dev").read_text().splitlines()[2:]
    return {line.split(":")[0].strip(): int(line.split(":")[1].split()[0]) for line in lines}


def _root_device() -> str:
    """Of the last mount at / (what was mounted there before is hidden)."""
    mounts = [line.split() for line in Path("/proc/1/mounts").read_text().splitlines()]
    return [one[0] for one in mounts if one[1] == "/"][-1]


def value(exposition: str, series: str) -> float:
    """Of the one line that begins so."""
    found = re.findall(rf"^{series} (\S+)$", exposition, re.M)
    assert len(found) == 1, (series, found)
    return float(found[0])
