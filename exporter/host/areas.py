"""All areas of the host. A new one is a file here and a line in the table."""

from __future__ import annotations

from pathlib import Path

from exporter.host.clock import ClocksourceArea, TimeArea, UnameArea
from exporter.host.disks import DisksArea
from exporter.host.filesystems import FilesystemsArea
from exporter.host.load import FilefdArea, LoadavgArea, PressureArea
from exporter.host.memory import MeminfoArea, VmstatArea
from exporter.host.network import NetworkArea
from exporter.host.raspberry_pi import RaspberryPiArea
from exporter.host.rows import Area
from exporter.host.stat import StatArea
from exporter.host.thermal import ThermalArea


def areas(proc: Path, rootfs: Path) -> tuple[Area, ...]:
    """``proc`` is the host's /proc, ``rootfs`` where its root is seen."""
    sys = rootfs / "sys"
    if not (sys / "class").is_dir():
        sys = Path("/sys")  # a container's own shows the host's devices too
    return (
        StatArea(proc),
        MeminfoArea(proc),
        VmstatArea(proc),
        LoadavgArea(proc),
        PressureArea(proc),
        FilefdArea(proc),
        NetworkArea(proc),
        DisksArea(proc, sys, rootfs),
        FilesystemsArea(proc, rootfs),
        TimeArea(),
        ClocksourceArea(sys),
        UnameArea(proc, rootfs),
        ThermalArea(sys),
        RaspberryPiArea(proc, sys),
    )
