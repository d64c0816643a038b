"""This machine as its kernel tells it, beside what an exporter says of it."""

from __future__ import annotations

import os
import re
from pathlib import Path


def shows_this_machine(exposition: str) -> None:
    """Raises AssertionError where cpu, memory, disks or network are not those of this machine.

    The root is compared by its size: a container's own is of another file system; the links by their names.
    """
    stat = Path("/proc/stat").read_text()
    cores = set(re.findall(r"^cpu(\d+) ", stat, re.M))
    assert set(re.findall(r'^node_cpu_seconds_total\{cpu="(\d+)"', exposition, re.M)) == cores
    booted = float(re.findall(r"^btime (\d+)", stat, re.M)[0])
    assert abs(value(exposition, "node_boot_time_seconds") - booted) <= 2
    total = int(re.findall(r"^MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)[0])
    assert value(exposition, "node_memory_MemTotal_bytes") == total * 1024
    root = os.statvfs("/")
    size = value(exposition, r'node_filesystem_size_bytes\{[^}]*mountpoint="/"[^}]*\}')
    assert size == root.f_frsize * root.f_blocks
    disks = {line.split()[2] for line in Path("/proc/diskstats").read_text().splitlines()}
    told = set(re.findall(r'^node_disk_read_bytes_total\{device="([^"]+)"', exposition, re.M))
    assert told
    assert told <= disks
    links = Path("/proc/1/net/dev").read_text().splitlines()[2:]
    received = {line.split(":")[0].strip(): int(line.split(":")[1].split()[0]) for line in links}
    seen = re.findall(
        r'^node_network_receive_bytes_total\{device="([^"]+)"\} (\S+)', exposition, re.M
    )
    assert seen
    for link, count in seen:
        assert float(count) <= received[link], f"{link}: another link of that name"


def value(exposition: str, series: str) -> float:
    """Of the one line that begins so."""
    found = re.findall(rf"^{series} (\S+)$", exposition, re.M)
    assert len(found) == 1, (series, found)
    return float(found[0])
