"""Time, its source, and the kernel's name. The sources' files in /sys are described in the kernel's
kernel/time/clocksource.c; for the name see uname(2)."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from exporter.exposition import Family, Samples, number
from exporter.host.kept import KeptFile, first_line
from exporter.host.rows import Scalar

_NOW = Scalar("node_time_seconds", "gauge", "System time in seconds since epoch (1970).")
_ZONE = Family("node_time_zone_offset_seconds", "gauge", "System time zone offset in seconds.")
_CURRENT = Family(
    "node_time_clocksource_current_info", "gauge", "Current clocksource read from sysfs."
)
_AVAILABLE = Family(
    "node_time_clocksource_available_info", "gauge", "Available clocksources read from sysfs."
)
_UNAME = Family(
    "node_uname_info", "gauge", "Labeled system information as provided by the uname system call."
)


class TimeArea:
    """The time zone is that of this process, as node_exporter's is its own."""

    name = "time"
    optional = False

    def __init__(self) -> None:
        self._zone: tuple[str, int] | None = None
        self._offset = Samples(_ZONE, b"")

    def read(self) -> Sequence[Samples]:
        now = time.time()
        local = time.localtime(now)
        zone = (local.tm_zone, local.tm_gmtoff)
        if zone != self._zone:
            self._zone = zone
            self._offset = Samples(_ZONE, b"%b%d\n" % (_ZONE.series(time_zone=zone[0]), zone[1]))
        return [_NOW.holding(number(now)), self._offset]


class ClocksourceArea:
    name = "clocksource"
    optional = True

    def __init__(self, sys: Path) -> None:
        self._directory = sys / "devices/system/clocksource"
        self._current: dict[str, KeptFile] = {}
        self._words: dict[str, bytes] = {}
        self._samples: list[Samples] = []

    def read(self) -> Sequence[Samples]:
        """Which are available does not change by itself: it is read when another one becomes current."""
        self._current = self._current or self._devices()
        words = {device: file.read() for device, file in self._current.items()}
        if words != self._words:
            self._samples = [
                Samples(_CURRENT, b"".join(map(self._line, words, words.values()))),
                Samples(_AVAILABLE, b"".join(map(self._available, words))),
            ]
            self._words = words
        return self._samples

    def _devices(self) -> dict[str, KeptFile]:
        beginning = "clocksource"
        return {
            entry.name.removeprefix(beginning): KeptFile(entry / "current_clocksource")
            for entry in sorted(self._directory.iterdir())
            if entry.name.startswith(beginning)
        }

    def _line(self, device: str, word: bytes, family: Family = _CURRENT) -> bytes:
        name = word.strip().decode(errors="replace")
        return family.series(device=device, clocksource=name) + b"1\n"

    def _available(self, device: str) -> bytes:
        file = self._directory / f"clocksource{device}/available_clocksource"
        words = first_line(file).split()
        return b"".join(self._line(device, word.encode(), _AVAILABLE) for word in words)


class UnameArea:
    """In a container uname tells the container's name; the host's stands in its own root."""

    name = "uname"
    optional = False

    def __init__(self, proc: Path, rootfs: Path) -> None:
        self._domainname = _or(proc / "sys/kernel/domainname", "(none)")
        self._nodename = "" if rootfs == Path("/") else _or(rootfs / "etc/hostname", "")
        self._uname: os.uname_result | None = None
        self._samples: list[Samples] = []

    def read(self) -> Sequence[Samples]:
        uname = os.uname()
        if uname != self._uname:
            self._uname = uname
            labels = {
                "sysname": uname.sysname,
                "release": uname.release,
                "version": uname.version,
                "machine": uname.machine,
                "nodename": self._nodename or uname.nodename,
                "domainname": self._domainname,
            }
            self._samples = [Samples(_UNAME, _UNAME.series(**labels) + b"1\n")]
        return self._samples


def _or(path: Path, otherwise: str) -> str:
    try:
        return first_line(path) or otherwise
    except OSError:
        return otherwise
