"""Which mounts are real storage, and how full they are; a mount that hangs costs nobody but itself."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exporter.procfs import Mount, parse_mounts

STATVFS_SECONDS = 1.0

# What node_exporter leaves out by default, and what lives in memory.
_NOT_STORAGE = re.compile(
    r"autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|erofs|fusectl|fuse\.(?:gvfsd-fuse|lxcfs|portal)"
    r"|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|ramfs|rpc_pipefs|securityfs|selinuxfs"
    r"|squashfs|sysfs|tmpfs|tracefs"
)
_NOT_OURS = re.compile(
    r"/(?:dev|proc|sys|run/credentials/.+|var/lib/docker/.+|var/lib/containers/storage/.+"
    r"|run/containerd/.+|etc/(?:hosts|hostname|resolv\.conf))(?:$|/)"
)


@dataclass(frozen=True)
class Filesystem:
    """One mount; the numbers are None when it does not answer. Sizes in bytes."""

    mount: Mount
    size: int | None = None
    free: int = 0
    avail: int = 0
    files: int = 0
    files_free: int = 0


def storage(mounts: Sequence[Mount], prefix: str = "/") -> list[Mount]:
    """The mounts that are storage, one a mount point (the uppermost), as seen below ``prefix``.

    ``prefix`` is where the host's root appears when the list is that of our own container. An
    overlay counts only as the root itself: there it is the disk that the machine has.
    """
    kept: dict[str, Mount] = {}
    for mount in mounts:
        point = below(mount.mountpoint, prefix)
        if point is None or _NOT_OURS.match(point):
            continue
        kept.pop(point, None)
        if not _NOT_STORAGE.fullmatch(mount.fstype) or (mount.fstype == "overlay" and point == "/"):
            kept[point] = mount._replace(mountpoint=point)
    return list(kept.values())


def below(path: str, prefix: str) -> str | None:
    """``path`` as seen from ``prefix``; None where it is not below it."""
    prefix = prefix.rstrip("/")
    if path == prefix:
        return "/"
    return path[len(prefix) :] if path.startswith(prefix + "/") else None


class Filesystems:
    """Asks each mount apart, in a thread of its own."""

    def __init__(self, proc_root: Path, rootfs: Path) -> None:
        self._proc_root = proc_root
        self._rootfs = rootfs
        self._asked: dict[str, _Question] = {}

    def mounts(self) -> list[Mount]:
        """The host's mounts; where init's may not be read, those below ROOTFS that we see. Raises OSError."""
        try:
            return storage(parse_mounts((self._proc_root / "1/mounts").read_bytes()))
        except OSError:
            own = parse_mounts(Path("/proc/self/mounts").read_bytes())
            return storage(own, str(self._rootfs))

    def ask(self, mounts: Sequence[Mount]) -> list[Filesystem]:
        """How full each is; one that does not answer within STATVFS_SECONDS is said to have failed."""
        root = str(self._rootfs).rstrip("/")
        stuck = {path: one for path, one in self._asked.items() if not one.answered.is_set()}
        paths = {root + mount.mountpoint for mount in mounts}
        self._asked = {path: stuck.get(path) or _Question(path) for path in paths} | stuck
        until = time.monotonic() + STATVFS_SECONDS
        for path in paths - stuck.keys():
            self._asked[path].answered.wait(max(0.0, until - time.monotonic()))
        return [_filesystem(mount, self._asked[root + mount.mountpoint].answer) for mount in mounts]


class _Question:
    """One statvfs, in a daemon thread: on a dead mount it never comes back."""

    def __init__(self, path: str) -> None:
        self.answer: os.statvfs_result | None = None
        self.answered = threading.Event()
        threading.Thread(
            target=self._ask, args=[path], name=f"statvfs of {path}", daemon=True
        ).start()

    def _ask(self, path: str) -> None:
        with suppress(OSError):  # a mount without an answer says so by device_error
            self.answer = os.statvfs(path)
        self.answered.set()


def _filesystem(mount: Mount, answer: os.statvfs_result | None) -> Filesystem:
    if answer is None:
        return Filesystem(mount)
    unit = answer.f_frsize or answer.f_bsize
    return Filesystem(
        mount,
        size=answer.f_blocks * unit,
        free=answer.f_bfree * unit,
        avail=answer.f_bavail * unit,
        files=answer.f_files,
        files_free=answer.f_ffree,
    )
