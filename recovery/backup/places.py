"""Where a backup lies and whether it may: who can write there, how much room is left, whose disk it is."""

from __future__ import annotations

import os
from pathlib import Path

UNFINISHED = ".unfinished-"
"""Begins the name of a backup that is being made, or removed."""
PERCENT_LEFT = 1.0
"""Of the disk: a backup does not fill it."""
ELSEWHERE = frozenset(
    ("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "9p", "afs", "davfs", "lustre")
)
"""Filesystems that are another machine's, as /proc/self/mountinfo calls them."""


def leaves_the_machine(filesystem: str) -> bool:
    """Pure. What is mounted by a program of a user's, as sshfs and rclone are, leads away too."""
    return filesystem in ELSEWHERE or filesystem.startswith("fuse.")


def filesystem_of(folder: Path, mountinfo: str) -> str:
    """The type of the filesystem that ``folder`` is on; empty where that cannot be told. Pure.

    Source: proc(5), /proc/pid/mountinfo: the mount point is the fifth field, the type follows " - ".
    """
    found, length = "", -1
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if folder.is_relative_to(point) and len(point.parts) >= length:
            found, length = after.split(" ")[0], len(point.parts)
    return found


def present(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(p for p in (folder, *folder.parents) if _there(p))


def filesystem(folder: Path) -> str:
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return filesystem_of(present(folder).resolve(), text)


def writable(folder: Path) -> bool:
    """Whether this user may make something in ``folder``, or make the folder itself."""
    return os.access(present(folder), os.W_OK | os.X_OK, effective_ids=True)


def available_bytes(folder: Path) -> float:
    """What may be written there."""
    stat = os.statvfs(present(folder))
    return max(0.0, stat.f_frsize * (stat.f_bavail - PERCENT_LEFT / 100 * stat.f_blocks))


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # its parent may not be looked into
        return False
