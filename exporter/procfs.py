"""Files of /proc to numbers. Pure: each takes the file's bytes. Formats: proc(5) and the kernel's
Documentation/filesystems/proc.rst and Documentation/admin-guide/iostats.rst."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
NET_RECEIVE = ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
NET_TRANSMIT = ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")
NET_COLUMNS = (
    *(f"receive_{name}" for name in NET_RECEIVE),
    *(f"transmit_{name}" for name in NET_TRANSMIT),
)
_TICKS = os.sysconf("SC_CLK_TCK")
_PARTITION = re.compile(r"(?:z?ram|loop|fd|(?:h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+")
"""node_exporter's default of what is no disk of its own."""


def parse_cpu(content: bytes) -> dict[str, dict[str, float]]:
    """Seconds by CPU number and mode, from ``/proc/stat``."""
    cpus = {}
    for line in content.decode(errors="replace").splitlines():
        name, *ticks = line.split() or [""]
        if re.fullmatch(r"cpu\d+", name):
            cpus[name[3:]] = {
                mode: int(count) / _TICKS for mode, count in zip(CPU_MODES, ticks, strict=False)
            }
    return cpus


def parse_meminfo(content: bytes) -> dict[str, int]:
    """``/proc/meminfo`` by node_exporter's names: ``Active(anon)`` in kB becomes Active_anon_bytes in bytes."""
    values = {}
    for line in content.decode(errors="replace").splitlines():
        found = re.fullmatch(r"([\w()]+):\s+(\d+)( kB)?\s*", line, re.ASCII)
        if found:
            name = re.sub(r"\((.*)\)", r"_\1", found[1])
            if found[3]:
                values[name + "_bytes"] = int(found[2]) * 1024
            else:
                values[name] = int(found[2])
    return values


def parse_loadavg(content: bytes) -> tuple[float, float, float]:
    """1, 5 and 15 minutes, from ``/proc/loadavg``. Raises ValueError."""
    one, five, fifteen = content.split()[:3]
    return float(one), float(five), float(fifteen)


def parse_net_dev(content: bytes) -> dict[str, dict[str, int]]:
    """The sixteen counters of each interface by node_exporter's names, from ``/proc/PID/net/dev``."""
    interfaces = {}
    for line in content.decode(errors="replace").splitlines()[2:]:
        name, colon, rest = line.rpartition(":")
        numbers = rest.split()
        if colon and len(numbers) >= len(NET_COLUMNS) and all(n.isdecimal() for n in numbers):
            interfaces[name.strip()] = {
                column: int(number) for column, number in zip(NET_COLUMNS, numbers, strict=False)
            }
    return interfaces


class DiskField(NamedTuple):
    """One column of ``/proc/diskstats`` after the device's name."""

    name: str
    """Without node_disk_ and _total."""
    factor: float
    help: str


DISK_FIELDS = (
    DiskField("reads_completed", 1, "Reads completed."),
    DiskField("reads_merged", 1, "Reads merged."),
    DiskField("read_bytes", 512, "Bytes read."),
    DiskField("read_time_seconds", 0.001, "Seconds spent by all reads."),
    DiskField("writes_completed", 1, "Writes completed."),
    DiskField("writes_merged", 1, "Writes merged."),
    DiskField("written_bytes", 512, "Bytes written."),
    DiskField("write_time_seconds", 0.001, "Seconds spent by all writes."),
    DiskField("io_now", 1, "I/Os in progress."),
    DiskField("io_time_seconds", 0.001, "Seconds spent doing I/O."),
    DiskField("io_time_weighted_seconds", 0.001, "Seconds spent doing I/O, weighted."),
    DiskField("discards_completed", 1, "Discards completed."),
    DiskField("discards_merged", 1, "Discards merged."),
    DiskField("discarded_sectors", 1, "Sectors discarded."),
    DiskField("discard_time_seconds", 0.001, "Seconds spent by all discards."),
    DiskField("flush_requests", 1, "Flush requests completed."),
    DiskField("flush_requests_time_seconds", 0.001, "Seconds spent by all flush requests."),
)


def parse_diskstats(content: bytes) -> dict[str, dict[str, float]]:
    """Values by device and name, from ``/proc/diskstats``; older kernels have fewer columns."""
    disks = {}
    for line in content.decode(errors="replace").splitlines():
        parts = line.split()
        if len(parts) < 14 or _PARTITION.fullmatch(parts[2]):
            continue
        disks[parts[2]] = {
            column.name: int(value) * column.factor
            for column, value in zip(DISK_FIELDS, parts[3:], strict=False)
        }
    return disks


class Mount(NamedTuple):
    """One line of ``/proc/PID/mounts``."""

    device: str
    mountpoint: str
    fstype: str
    readonly: bool


def parse_mounts(content: bytes) -> list[Mount]:
    """All mounts in order. The kernel writes space, tab, newline and backslash as octal escapes."""
    mounts = []
    for line in content.split(b"\n"):
        parts = [_unescape(part) for part in line.split(b" ")]
        if len(parts) >= 4:
            mounts.append(Mount(parts[0], parts[1], parts[2], "ro" in parts[3].split(",")))
    return mounts


def _unescape(part: bytes) -> str:
    plain = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8) & 0xFF]), part)
    return plain.decode(errors="surrogateescape")


def host_interfaces(interfaces: Mapping[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """Without the host's ends of containers' links, which come and go with every recreation."""
    return {
        name: values for name, values in interfaces.items() if not name.startswith(("veth", "cali"))
    }
