"""Which mounts there are, and which of them are storage. Format: proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
import select
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from exporter.host.kept import KeptFile

# What node_exporter leaves out by default, and what lives in memory.
NOT_STORAGE = re.compile(
    r"autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|erofs|fusectl|fuse\.(?:gvfsd-fuse|lxcfs|portal)"
    r"|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|ramfs|rpc_pipefs|securityfs|selinuxfs"
    r"|squashfs|sysfs|tmpfs|tracefs"
)
NOT_OURS = re.compile(
    r"/(?:dev|proc|sys|run/credentials/.+|var/lib/docker/.+|var/lib/containers/storage/.+"
    r"|run/containerd/.+|etc/(?:hosts|hostname|resolv\.conf))(?:$|/)"
)
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount; ``major`` and ``minor`` are the number of its device, ``root`` the directory of it that is mounted."""

    device: str
    mountpoint: str
    fstype: str
    readonly: bool
    major: str = "0"
    minor: str = "0"
    root: str = "/"


def parse_mountinfo(content: bytes, *, seen_from_outside: bool = False) -> list[Mount]:
    """All mounts in order. The kernel writes space, tab, newline and backslash as octal escapes.

    A mount is read-only when it is, or when its whole filesystem is. ``seen_from_outside``: the list is
    that of a container, whose own bind mount of the host's may be read-only where the host's is not.
    """
    mounts = []
    for line in content.split(b"\n"):
        parts = line.split(b" ")
        if len(parts) < 10 or b"-" not in parts[6:]:
            continue
        rest = parts[parts.index(b"-", 6) + 1 :]
        major, colon, minor = parts[2].partition(b":")
        if len(rest) < 3 or not (colon and major.isdigit() and minor.isdigit()):
            continue
        options = b"" if seen_from_outside else parts[5]
        readonly = b"ro" in options.split(b",") or b"ro" in rest[2].split(b",")
        device, point, fstype, root = (
            _unescape(part) for part in (rest[1], parts[4], rest[0], parts[3])
        )
        mounts.append(Mount(device, point, fstype, readonly, major.decode(), minor.decode(), root))
    return mounts


def _unescape(part: bytes) -> str:
    plain = _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), part)
    return plain.decode(errors="surrogateescape")


def storage(mounts: Sequence[Mount], prefix: str = "/") -> list[Mount]:
    """The mounts that are storage, one a mount point (the uppermost), as seen below ``prefix``.

    ``prefix`` is where the host's root appears when the list is that of our own container. An
    overlay counts only as the root itself: there it is the disk that the machine has.
    """
    kept: dict[str, Mount] = {}
    for mount in mounts:
        point = below(mount.mountpoint, prefix)
        if point is None or NOT_OURS.match(point):
            continue
        kept.pop(point, None)
        if not NOT_STORAGE.fullmatch(mount.fstype) or (mount.fstype == "overlay" and point == "/"):
            kept[point] = mount._replace(mountpoint=point)
    return list(kept.values())


def without_self_binds(mounts: Sequence[Mount]) -> list[Mount]:
    """Without what shows the same files at the same place as a mount above it does: so systemd keeps single
    directories of a service writable (systemd.exec(5), ReadWritePaths=), and they are no disks of their own."""
    return [mount for mount in mounts if not any(_shows(other, mount) for other in mounts)]


def _shows(other: Mount, mount: Mount) -> bool:
    same_device = (other.major, other.minor) == (mount.major, mount.minor)
    if not same_device or len(other.mountpoint) >= len(mount.mountpoint):
        return False
    inside = below(mount.mountpoint, other.mountpoint)
    return inside is not None and mount.root == f"{other.root.rstrip('/')}{inside}"


def below(path: str, prefix: str) -> str | None:
    """``path`` as seen from ``prefix``; None where it is not below it."""
    prefix = prefix.rstrip("/")
    if path == prefix:
        return "/"
    return path[len(prefix) :] if path.startswith(prefix + "/") else None


class MountTable:
    """The host's storage; its file is read only when the kernel says that it has changed.

    poll(2) tells it, as proc_pid_mounts(5) has it. Where init's mounts may not be read, those below
    ROOTFS that we see ourselves serve.
    """

    def __init__(self, proc: Path, rootfs: Path) -> None:
        self._of_init = KeptFile(proc / "1/mountinfo")
        self._ours = KeptFile(Path("/proc/self/mountinfo"))
        self._prefix = str(rootfs)
        self._polled: tuple[int, select.poll] | None = None
        self._mounts: tuple[Mount, ...] = ()

    def read(self) -> tuple[Mount, ...]:
        """The same tuple until there is a change. Raises OSError."""
        if self._polled is not None and not self._polled[1].poll(0):
            return self._mounts
        try:
            mounts = storage(parse_mountinfo(self._watched(self._of_init)))
        except OSError:
            content = self._watched(self._ours)
            ours = without_self_binds(parse_mountinfo(content, seen_from_outside=True))
            mounts = storage(ours, self._prefix)
        if tuple(mounts) != self._mounts:
            self._mounts = tuple(mounts)
        return self._mounts

    def _watched(self, file: KeptFile) -> bytes:
        """What it says; a change between the look and the reading is told by the next look."""
        self._polled = None
        content = file.read()
        poll = select.poll()
        poll.register(file.descriptor(), select.POLLPRI)
        self._polled = (file.descriptor(), poll)
        return content
