"""Names of block devices by their numbers."""

from __future__ import annotations

from pathlib import Path


class Devices:
    """Names of block devices by their numbers, from /proc/partitions (proc(5))."""

    def __init__(self, proc: Path) -> None:
        self._file = proc / "partitions"
        self._names: dict[str, str] = {}

    def name(self, numbers: str) -> str:
        """``/dev/vda`` for ``254:0``; the numbers themselves where it has no name."""
        if numbers not in self._names:
            try:
                self._names = parse_partitions(self._file.read_bytes())
            except OSError:
                self._names = {}
        return self._names.get(numbers, numbers)


def parse_partitions(content: bytes) -> dict[str, str]:
    """``/dev/NAME`` by ``MAJOR:MINOR``."""
    names = {}
    for line in content.decode(errors="replace").splitlines():
        parts = line.split()
        if len(parts) == 4 and parts[0].isdecimal():
            names[f"{parts[0]}:{parts[1]}"] = f"/dev/{parts[3]}"
    return names
