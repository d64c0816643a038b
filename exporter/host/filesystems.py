"""How full the filesystems are. One that hangs costs nobody but itself."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event
from typing import NamedTuple

from exporter.exposition import Family, Samples, series
from exporter.host.mounts import Mount, MountTable, below
from exporter.lane import Lane

STATVFS_SECONDS = 0.8
"""A filesystem of another machine or program that takes longer has no sizes in this scrape."""
LOCAL = re.compile(
    "bcachefs|btrfs|exfat|ext[234]|f2fs|hfsplus|jffs2|jfs|msdos|nilfs2|ntfs3?|overlay|reiserfs"
    "|ubifs|udf|vfat|xfs|zfs"
)
"""The kernel answers for these from memory. All else (NFS, SMB, FUSE, 9p, …) may wait for someone."""
TIMEOUT = "mountpoint timeout"
"""node_exporter's word for it."""

_SIZES = (
    Family("node_filesystem_size_bytes", "gauge", "Filesystem size in bytes."),
    Family("node_filesystem_free_bytes", "gauge", "Filesystem free space in bytes."),
    Family(
        "node_filesystem_avail_bytes",
        "gauge",
        "Filesystem space available to non-root users in bytes.",
    ),
    Family("node_filesystem_files", "gauge", "Filesystem total file nodes."),
    Family("node_filesystem_files_free", "gauge", "Filesystem total free file nodes."),
)
_READONLY = Family("node_filesystem_readonly", "gauge", "Filesystem read-only status.")
_ERROR = Family(
    "node_filesystem_device_error",
    "gauge",
    "Whether an error occurred while getting statistics for the given device.",
)
_INFO = Family("node_filesystem_mount_info", "gauge", "Filesystem mount information.")

Answer = os.statvfs_result | str
"""Of statvfs(3): what it said, or why it said nothing."""


def sizes(answer: os.statvfs_result) -> tuple[int, int, int, int, int]:
    """In the order of the families: bytes in all, free, available to others than root; file nodes, free ones."""
    unit = answer.f_frsize or answer.f_bsize
    return (
        answer.f_blocks * unit,
        answer.f_bfree * unit,
        answer.f_bavail * unit,
        answer.f_files,
        answer.f_ffree,
    )


def may_hang(mounts: Sequence[Mount]) -> set[Mount]:
    """Those that are not the kernel's own, and those that are reached only over such a one."""
    foreign = [mount for mount in mounts if not LOCAL.fullmatch(mount.fstype)]
    return {
        mount
        for mount in mounts
        if any(below(mount.mountpoint, one.mountpoint) is not None for one in foreign)
    }


def ask(path: str) -> Answer:
    try:
        return os.statvfs(path)
    except OSError as error:
        return (error.strerror or type(error).__name__).lower()


class Asker:
    """Asks about one path in a thread of its own, which is kept; never a second time while it hangs."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lane = Lane(f"statvfs of {path}")
        self._answer: Answer = TIMEOUT
        self._answered = Event()
        self._answered.set()
        self._waited = True

    def begin(self) -> None:
        """Ask, unless an earlier question is still without an answer."""
        self._waited = self._answered.is_set()
        if self._waited:
            self._answered.clear()
            self._lane.do(self._ask)

    def answer(self, until: float) -> Answer:
        """What came till ``until``, a monotonic time. One that hung before this scrape is not waited for."""
        seconds = max(0.0, until - time.monotonic()) if self._waited else 0.0
        if self._waited and self._answered.wait(seconds):
            return self._answer
        return TIMEOUT

    def close(self) -> None:
        """End the thread, once it has its answer."""
        self._lane.close()

    def _ask(self) -> None:
        self._answer = ask(self._path)
        self._answered.set()


class _Prefixes(NamedTuple):
    """The names and labels of one mount's series, while it answers in the same way."""

    sizes: tuple[bytes, ...]
    readonly: bytes
    error: bytes
    info: bytes


def _prefixes(mount: Mount, error: str) -> _Prefixes:
    labels = {
        "device": _printable(mount.device),
        "fstype": mount.fstype,
        "mountpoint": _printable(mount.mountpoint),
        "device_error": error,
    }
    names = {key: labels[key] for key in ("device", "mountpoint")}
    ids = {"major": mount.major, "minor": mount.minor}
    return _Prefixes(
        tuple(series(family.name, labels) for family in _SIZES),
        _READONLY.series(**labels) + (b"1\n" if mount.readonly else b"0\n"),
        _ERROR.series(**labels) + (b"1\n" if error else b"0\n"),
        _INFO.series(**names, **ids) + b"1\n",
    )


class FilesystemsArea:
    """A filesystem that did not answer has no sizes, and device_error 1 with the reason as a label."""

    name = "filesystem"
    optional = False

    def __init__(self, proc: Path, rootfs: Path) -> None:
        self._table = MountTable(proc, rootfs)
        self._root = str(rootfs).rstrip("/")
        self._mounts: tuple[Mount, ...] = ()
        self._askers: dict[Mount, Asker] = {}
        self._prefixes: dict[Mount, tuple[str, _Prefixes]] = {}

    def read(self) -> Sequence[Samples]:
        mounts = self._table.read()
        if mounts is not self._mounts:
            self._change(mounts)
        return self._samples(zip(mounts, self._answers(), strict=True))

    def _change(self, mounts: tuple[Mount, ...]) -> None:
        self._mounts = mounts
        before, hanging = self._askers, may_hang(mounts)
        self._askers = {one: before.get(one) or Asker(self._path(one)) for one in hanging}
        for mount in before.keys() - hanging:
            before[mount].close()
        self._prefixes = {one: made for one, made in self._prefixes.items() if one in mounts}

    def _answers(self) -> list[Answer]:
        until = time.monotonic() + STATVFS_SECONDS
        for asker in self._askers.values():
            asker.begin()
        near = {one: ask(self._path(one)) for one in self._mounts if one not in self._askers}
        return [
            near[one] if one in near else self._askers[one].answer(until) for one in self._mounts
        ]

    def _path(self, mount: Mount) -> str:
        return self._root + mount.mountpoint

    def _samples(self, answers: Iterable[tuple[Mount, Answer]]) -> list[Samples]:
        numbers: list[list[bytes]] = [[] for _ in _SIZES]
        states: tuple[list[bytes], ...] = ([], [], [])
        for mount, answer in answers:
            prefixes = self._named(mount, answer if isinstance(answer, str) else "")
            if not isinstance(answer, str):
                for lines, prefix, value in zip(
                    numbers, prefixes.sizes, sizes(answer), strict=True
                ):
                    lines.append(b"%b%d\n" % (prefix, value))
            for lines, line in zip(states, prefixes[1:], strict=True):
                lines.append(line)
        families = (*_SIZES, _READONLY, _ERROR, _INFO)
        return [
            Samples(family, b"".join(lines))
            for family, lines in zip(families, (*numbers, *states), strict=True)
        ]

    def _named(self, mount: Mount, error: str) -> _Prefixes:
        before, prefixes = self._prefixes.get(mount, ("", None))
        if prefixes is None or before != error:
            prefixes = _prefixes(mount, error)
            self._prefixes[mount] = (error, prefixes)
        return prefixes


def _printable(text: str) -> str:
    """A path may hold bytes that are no UTF-8; a label may not, and two paths are not to become one."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")
