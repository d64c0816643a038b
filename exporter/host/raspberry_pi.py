"""A Raspberry Pi's own complaints: too little voltage, and what the firmware does against heat.

``rpi_volt`` is the driver of the kernel's Documentation/hwmon/raspberrypi-hwmon.rst. ``get_throttled``
is a file of Raspberry Pi's kernels (drivers/firmware/raspberrypi.c): the bits of the firmware's
get_throttled, in hexadecimal, as Raspberry Pi's documentation of vcgencmd lists them. The kernel asks the
firmware every two seconds and has it forget then what was: bits 16 to 19 stand for what happened between
two such questions, not since boot.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporter.exposition import Family, Samples
from exporter.host.kept import KeptFile, first_line
from exporter.host.rows import Scalar
from exporter.host.thermal import RELIST_SECONDS, parse_number

UNDER_VOLTAGE = "under_voltage"
CONDITIONS = (UNDER_VOLTAGE, "frequency_capped", "throttled", "soft_temperature_limit")
"""By bit: now; 16 bits higher: since the kernel asked before."""
_HEX = re.compile(rb"(?:0x)?[0-9a-fA-F]{1,8}")
_VOLTAGE = Scalar(
    "sermon_monitor_rpi_under_voltage",
    "gauge",
    "Whether the Raspberry Pi has too little voltage, or had within the last seconds (1) or not (0).",
)
_THROTTLED = Family(
    "sermon_monitor_rpi_throttled",
    "gauge",
    "Whether the Raspberry Pi's firmware slows the processor down, or did within the last seconds.",
)
_PREFIXES = {one: _THROTTLED.series(condition=one) for one in CONDITIONS if one != UNDER_VOLTAGE}


def parse_throttled(content: bytes) -> dict[str, bool]:
    """By condition, whether it holds or did just now. Raises ValueError."""
    digits = content.strip()
    if not _HEX.fullmatch(digits):
        raise ValueError("get_throttled is not a hexadecimal number of 32 bits")
    bits = int(digits, 16)
    bits |= bits >> 16
    return {name: bool(bits >> place & 1) for place, name in enumerate(CONDITIONS)}


class RaspberryPiArea:
    """On another machine, or where the kernel has none of these files, it has nothing to tell."""

    name = "raspberry_pi"
    optional = True

    def __init__(self, proc: Path, sys: Path) -> None:
        self._proc = proc
        self._sys = sys
        self._is_one = "Raspberry Pi" in _line(sys / "firmware/devicetree/base/model")
        self._alarm: KeptFile | None = None
        self._throttled: KeptFile | None = None
        self._looked: float | None = None

    def read(self) -> Sequence[Samples]:
        if not self._is_one:
            return ()
        if self._looked is None or time.monotonic() - self._looked > RELIST_SECONDS:
            self._looked = time.monotonic()
            self._alarm = self._alarm or self._find_alarm()
            self._throttled = self._throttled or self._find_throttled()
        try:
            throttled = parse_throttled(self._throttled.read()) if self._throttled else {}
            return [*self._voltage(throttled), *_throttling(throttled)]
        except OSError:  # a driver that was loaded anew has its files elsewhere
            self._alarm = self._throttled = None
            raise

    def _voltage(self, throttled: Mapping[str, bool]) -> Sequence[Samples]:
        if self._alarm is not None:
            return [_VOLTAGE.holding(parse_number(self._alarm.read()))]
        return [_VOLTAGE.holding(b"%d" % throttled[UNDER_VOLTAGE])] if throttled else ()

    def _find_alarm(self) -> KeptFile | None:
        for directory in sorted((self._sys / "class/hwmon").glob("hwmon*")):
            if _line(directory / "name") == "rpi_volt":
                return KeptFile(directory / "in0_lcrit_alarm")
        return None

    def _find_throttled(self) -> KeptFile | None:
        """Reading it makes newer kernels warn once, because it is old; one that panics then is left alone."""
        if _line(self._proc / "sys/kernel/panic_on_warn") != "0":
            return None
        found = (self._sys / "devices/platform").glob("soc*/soc*:firmware/get_throttled")
        return next((KeptFile(path) for path in sorted(found)), None)


def _throttling(throttled: Mapping[str, bool]) -> Sequence[Samples]:
    if not throttled:
        return ()
    lines = (b"%b%d\n" % (prefix, throttled[name]) for name, prefix in _PREFIXES.items())
    return [Samples(_THROTTLED, b"".join(lines))]


def _line(path: Path) -> str:
    try:
        return first_line(path)
    except OSError:
        return ""
