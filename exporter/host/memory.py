"""/proc/meminfo and /proc/vmstat. Formats: proc_meminfo(5), proc_vmstat(5)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import mul
from pathlib import Path
from typing import NamedTuple

from exporter.exposition import Family, Samples
from exporter.host.kept import KeptFile
from exporter.host.rows import Lines, Scalar, template

_FIELD = re.compile(rb"^([A-Za-z][\w()]*):[ \t]+(\d{1,20})( kB)?[ \t]*$", re.MULTILINE)
_VMSTAT = re.compile(rb"\n((?:oom_kill|pgpg|pswp|pg\w*fault)\w*) (\d{1,20})(?=\n)")
"""node_exporter's default of what is told of /proc/vmstat."""


class Meminfo(NamedTuple):
    """The fields of /proc/meminfo: names and units (`` kB`` or nothing) as the kernel writes them."""

    names: tuple[bytes, ...]
    units: tuple[bytes, ...]
    digits: tuple[bytes, ...]


def parse_meminfo(content: bytes) -> Meminfo:
    """A line that makes no sense is left out. Raises ValueError where there is no other."""
    found = _FIELD.findall(content)
    if not found:
        raise ValueError("no field in /proc/meminfo")
    names, digits, units = zip(*found, strict=True)
    return Meminfo(names, units, digits)


def metric_name(field: str, unit: str) -> str:
    """node_exporter's: ``Active(anon)`` in kB is ``node_memory_Active_anon_bytes``."""
    suffix = "_bytes" if unit else ""
    return f"node_memory_{field.replace('(', '_').replace(')', '')}{suffix}"


def parse_vmstat(content: bytes) -> dict[bytes, bytes]:
    """The digits of the fields that node_exporter tells by default, by name."""
    return dict(_VMSTAT.findall(b"\n" + content))


class MeminfoArea:
    name = "meminfo"
    optional = False

    def __init__(self, proc: Path) -> None:
        self._file = KeptFile(proc / "meminfo")
        self._known: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ())
        self._factors: tuple[int, ...] = ()
        self._lines = Lines()

    def read(self) -> Sequence[Samples]:
        names, units, digits = parse_meminfo(self._file.read())
        if (names, units) != self._known:
            self._learn(names, units)
        return self._lines.samples(tuple(map(mul, map(int, digits), self._factors)))

    def _learn(self, names: tuple[bytes, ...], units: tuple[bytes, ...]) -> None:
        if len(set(names)) != len(names):
            raise ValueError("a field of /proc/meminfo stands there twice")
        self._lines = Lines(
            _piece(metric_name(name.decode(), unit.decode()), name.decode())
            for name, unit in zip(names, units, strict=True)
        )
        self._factors = tuple(1024 if unit else 1 for unit in units)
        self._known = (names, units)


class VmstatArea:
    name = "vmstat"
    optional = False

    def __init__(self, proc: Path) -> None:
        self._file = KeptFile(proc / "vmstat")
        self._scalars: dict[bytes, Scalar] = {}

    def read(self) -> Sequence[Samples]:
        values = parse_vmstat(self._file.read())
        if not values:
            raise ValueError("no known field in /proc/vmstat")
        if values.keys() != self._scalars.keys():
            self._scalars = {name: _vmstat(name.decode()) for name in values}
        return [self._scalars[name].holding(digits) for name, digits in values.items()]


def _piece(name: str, field: str) -> tuple[Family, bytes]:
    family = Family(name, "gauge", f"Memory information field {field}.")
    return family, template([(family.series(), b"%d")])


def _vmstat(name: str) -> Scalar:
    return Scalar(f"node_vmstat_{name}", "untyped", f"/proc/vmstat information field {name}.")
