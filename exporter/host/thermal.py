"""/sys/class/thermal: temperatures, and what cools. Format: the kernel's
Documentation/driver-api/thermal/sysfs-api.rst."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.exposition import Family, Samples
from exporter.host.kept import KeptFile, first_line
from exporter.host.rows import milliseconds

RELIST_SECONDS = 60.0
"""How long zones stay as they were listed: a driver may be loaded later."""
_NUMBER = re.compile(rb"-?\d{1,10}")
_TEMPERATURE = Family("node_thermal_zone_temp", "gauge", "Zone temperature in Celsius.")
_CURRENT = Family(
    "node_cooling_device_cur_state", "gauge", "Current throttle state of the cooling device."
)
_MOST = Family(
    "node_cooling_device_max_state", "gauge", "Maximum throttle state of the cooling device."
)


def parse_number(content: bytes) -> bytes:
    """The digits of a file that holds one whole number. Raises ValueError."""
    digits = content.strip()
    if not _NUMBER.fullmatch(digits):
        raise ValueError("not a whole number")
    return digits


def celsius(millidegrees: bytes) -> bytes:
    """Thousandths of a degree as degrees."""
    sign = b"-" if millidegrees.startswith(b"-") else b""
    return sign + milliseconds(millidegrees.removeprefix(b"-"))


class Sensor(NamedTuple):
    """One file with one number, and the series it goes to."""

    file: KeptFile
    family: Family
    prefix: bytes


class ThermalArea:
    """A zone that cannot tell its temperature now has no sample."""

    name = "thermal"
    optional = True

    def __init__(self, sys: Path) -> None:
        self._directory = sys / "class/thermal"
        self._sensors: list[Sensor] = []
        self._listed: float | None = None

    def read(self) -> Sequence[Samples]:
        if self._listed is None or time.monotonic() - self._listed > RELIST_SECONDS:
            self._sensors = list(self._list())
            self._listed = time.monotonic()
        lines: dict[Family, bytes] = {}
        for sensor in self._sensors:
            try:
                digits = parse_number(sensor.file.read())
            except (OSError, ValueError):  # a sensor that is off or gone answers with an error
                continue
            value = celsius(digits) if sensor.family is _TEMPERATURE else digits
            line = b"%b%b\n" % (sensor.prefix, value)
            lines[sensor.family] = lines.get(sensor.family, b"") + line
        return [Samples(family, made) for family, made in lines.items()]

    def _list(self) -> Iterator[Sensor]:
        for entry in sorted(self._directory.iterdir()):
            found = re.fullmatch(r"(thermal_zone|cooling_device)(\d+)", entry.name)
            try:
                kind = first_line(entry / "type") if found else ""
            except OSError:  # it has just gone
                continue
            if found and found[1] == "thermal_zone":
                prefix = _TEMPERATURE.series(zone=found[2], type=kind)
                yield Sensor(KeptFile(entry / "temp"), _TEMPERATURE, prefix)
            elif found:
                for family, file in ((_CURRENT, "cur_state"), (_MOST, "max_state")):
                    prefix = family.series(name=found[2], type=kind)
                    yield Sensor(KeptFile(entry / file), family, prefix)
