"""Which mounts are real storage, and how full they are; a mount that hangs costs nobody but itself."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.procfs import Mount, parse_mounts
from target.blocking import BlockedError, Blocking

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
        self._calls: dict[str, Blocking[os.statvfs_result]] = {}

    def mounts(self) -> list[Mount]:
        """The host's mounts; where init's may not be read, those below ROOTFS that we see. Raises OSError."""
        try:
            return storage(parse_mounts((self._proc_root / "1/mounts").read_bytes()))
        except OSError:
            own = parse_mounts(Path("/proc/self/mounts").read_bytes())
            return storage(own, str(self._rootfs))

    async def ask(self, mounts: Sequence[Mount]) -> list[Filesystem]:
        """How full each is; one that does not answer within STATVFS_SECONDS is said to have failed."""
        points = {mount.mountpoint for mount in mounts}
        self._calls = {
            point: self._calls.get(point) or Blocking(f"statvfs of {point}") for point in points
        } | {point: call for point, call in self._calls.items() if call.stuck}
        return list(await asyncio.gather(*(self._ask(mount) for mount in mounts)))

    async def _ask(self, mount: Mount) -> Filesystem:
        path = str(self._rootfs).rstrip("/") + mount.mountpoint
        try:
            answer = await self._calls[mount.mountpoint].run(
                lambda: os.statvfs(path), STATVFS_SECONDS
            )
        except (OSError, BlockedError):
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
