"""A disk of the tests' own whose power can be cut: ext4 on a file, ended by the kernel without a last write."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from tests.real import debian
from tests.real.processes import run

PACKAGES = ("e2fsprogs",)
_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32) in fs/ext4/ext4.h; xfstests cuts the power with it too."""
_NOT_EVEN_THE_JOURNAL = 2
"""EXT4_GOING_FLAGS_NOLOGFLUSH: what was not asked to be brought to the disk is lost, as a name's change too."""


class Disk:
    """Mounted at ``point`` from ``on`` to ``off``. Needs root."""

    def __init__(self, point: Path, mib: int = 96) -> None:
        debian.install(*PACKAGES)
        self.point = point
        self._image = point.with_name(f"{point.name}.disk")
        point.mkdir()
        with self._image.open("wb") as file:
            file.truncate(mib << 20)
        run(["mkfs.ext4", "-q", "-m", "0", self._image])

    def on(self) -> None:
        # Nothing is written by itself within the test: only what is asked for comes to the disk.
        options = "loop,commit=600"
        run(["mount", "-o", options, self._image, self.point])

    def cut(self) -> None:
        """From now on every write fails, and what only the memory has is gone."""
        handle = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NOT_EVEN_THE_JOURNAL))
        finally:
            os.close(handle)

    def off(self) -> None:
        if self.point.is_mount():
            run(["umount", self.point])

    def again(self) -> None:
        """After a cut: what the machine finds when it is on again.

        On a copy: a process with mounts of its own, as an Engine's, may hold what was cut for longer than we do.
        """
        self.off()
        former = self._image
        self._image = former.with_name(f"{former.name}.")
        run(["cp", "--sparse=always", former, self._image])
        former.unlink()
        self.on()
