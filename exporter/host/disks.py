"""/proc/diskstats, and what udev knows of each disk.

Formats: the kernel's Documentation/admin-guide/iostats.rst; udev's database has a file for each device,
``b`` and its number, with its properties in lines that begin with ``E:``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.exposition import Family, Samples
from exporter.host.kept import KeptFile, first_line
from exporter.host.rows import Column, Table, all_counts, milliseconds, sectors

_NO_DISK = re.compile(rb"(?:z?ram|loop|fd|(?:h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+")
"""node_exporter's default of what is no disk of its own."""
_OLDEST_COLUMNS = 11

COLUMNS = tuple(
    Column(Family(f"node_disk_{name}", "gauge" if name == "io_now" else "counter", text), convert)
    for name, text, convert in (
        (
            "reads_completed_total",
            "The total number of reads completed successfully.",
            None,
        ),
        ("reads_merged_total", "The total number of reads merged.", None),
        ("read_bytes_total", "The total number of bytes read successfully.", sectors),
        (
            "read_time_seconds_total",
            "The total number of seconds spent by all reads.",
            milliseconds,
        ),
        (
            "writes_completed_total",
            "The total number of writes completed successfully.",
            None,
        ),
        ("writes_merged_total", "The number of writes merged.", None),
        ("written_bytes_total", "The total number of bytes written successfully.", sectors),
        (
            "write_time_seconds_total",
            "The total number of seconds spent by all writes.",
            milliseconds,
        ),
        ("io_now", "The number of I/Os currently in progress.", None),
        ("io_time_seconds_total", "Total seconds spent doing I/Os.", milliseconds),
        (
            "io_time_weighted_seconds_total",
            "The weighted number of seconds spent doing I/Os.",
            milliseconds,
        ),
        (
            "discards_completed_total",
            "The total number of discards completed successfully.",
            None,
        ),
        ("discards_merged_total", "The total number of discards merged.", None),
        (
            "discarded_sectors_total",
            "The total number of sectors discarded successfully.",
            None,
        ),
        (
            "discard_time_seconds_total",
            "The total number of seconds spent by all discards.",
            milliseconds,
        ),
        (
            "flush_requests_total",
            "The total number of flush requests completed successfully.",
            None,
        ),
        (
            "flush_requests_time_seconds_total",
            "The total number of seconds spent by all flush requests.",
            milliseconds,
        ),
    )
)
_INFO = Family("node_disk_info", "gauge", "Info of /sys/block/<block_device>.")


class Disk(NamedTuple):
    """One line of /proc/diskstats: its number, and the digits of its columns in the order of COLUMNS."""

    major: str
    minor: str
    columns: list[bytes]


def parse_diskstats(content: bytes) -> dict[str, Disk]:
    """By name; without partitions and loops. Older kernels have fewer columns."""
    disks = {}
    for line in content.split(b"\n"):
        parts = line.split()
        columns = parts[3 : 3 + len(COLUMNS)]
        if len(columns) < _OLDEST_COLUMNS or _NO_DISK.fullmatch(parts[2]):
            continue
        if all_counts(parts[:2] + columns):
            name = parts[2].decode(errors="replace")
            disks[name] = Disk(parts[0].decode(), parts[1].decode(), columns)
    return disks


def parse_udev(content: bytes) -> dict[str, str]:
    """A device's properties."""
    properties = {}
    for line in content.split(b"\n"):
        if line.startswith(b"E:"):
            name, _, value = line[2:].partition(b"=")
            properties[name.decode(errors="replace")] = value.decode(errors="replace")
    return properties


def info_labels(name: str, disk: Disk, udev: Mapping[str, str], rotational: str) -> dict[str, str]:
    """Of node_disk_info; what udev does not know is empty."""
    serials = (udev.get(key) for key in ("SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"))
    return {
        "device": name,
        "major": disk.major,
        "minor": disk.minor,
        "path": udev.get("ID_PATH", ""),
        "wwn": udev.get("ID_WWN", ""),
        "model": udev.get("ID_MODEL", ""),
        "serial": next(filter(None, serials), ""),
        "revision": udev.get("ID_REVISION", ""),
        "rotational": rotational,
    }


class DisksArea:
    """What udev knows is read when a disk appears."""

    name = "diskstats"
    optional = False

    def __init__(self, proc: Path, sys: Path, rootfs: Path) -> None:
        self._file = KeptFile(proc / "diskstats")
        self._block = sys / "block"
        self._udev = rootfs / "run/udev/data"
        self._table = Table("device", COLUMNS)
        self._infos: dict[tuple[str, str, str], bytes] = {}

    def read(self) -> Sequence[Samples]:
        disks = parse_diskstats(self._file.read())
        ids = {(name, disk.major, disk.minor): disk for name, disk in disks.items()}
        if ids.keys() != self._infos.keys():
            self._infos = {one: self._infos.get(one) or self._info(one[0], ids[one]) for one in ids}
        return [
            Samples(_INFO, b"".join(self._infos.values())),
            *self._table.samples({name: disk.columns for name, disk in disks.items()}),
        ]

    def _info(self, name: str, disk: Disk) -> bytes:
        try:
            udev = parse_udev((self._udev / f"b{disk.major}:{disk.minor}").read_bytes())
        except OSError:  # no udev here, or it does not know this one: its labels are empty
            udev = {}
        try:
            rotational = first_line(self._block / name / "queue/rotational")
        except OSError:
            rotational = "0"  # as node_exporter has it
        return _INFO.series(**info_labels(name, disk, udev, rotational)) + b"1\n"
