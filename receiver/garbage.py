"""What a full disk can be rid of: looked at here, deleted by receiver/actions/cleanup.py.

By itself only what can be made again and has no name: build cache and images that nothing names. Old
named versions of the application only when a person has approved exactly these. Never a volume, never
an image that a container is of, that ran lately or proved good (target/reclaimable.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from receiver.settings import ReceiverSettings
from target import roles
from target.engine import Engine, sound_int
from target.reclaimable import Reclaimable, reclaimable
from target.version_keeper import LedgerFile
from target.versions import OWN_IMAGES, Ledger, repository_of

LEDGER = "versions.json"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Disk:
    """The disk that the Engine's images are on; ``free`` is None where it cannot be seen from here."""

    path: str
    free: int | None


class Garbage:
    """Blocks: call it in a thread. Every method raises EngineError."""

    def __init__(self, settings: ReceiverSettings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine

    def disk(self) -> Disk:
        root = str(self._engine.info().get("DockerRootDir") or "/var/lib/docker")
        if self._settings.machine == "elsewhere":
            return Disk(root, None)
        try:
            seen = os.statvfs(self._here(root))
        except (OSError, ValueError):
            return Disk(root, None)
        return Disk(root, seen.f_bavail * seen.f_frsize)

    def elsewhere(self, mountpoint: str) -> str:
        """Why deleting images gives no room on the disk at ``mountpoint``, in words; empty where it may."""
        root = self.disk().path
        if self._settings.machine == "elsewhere":
            return ""  # its files cannot be seen from here
        try:
            full, images = self._here(mountpoint or "/").stat(), self._here(root).stat()
        except (OSError, ValueError):
            return ""  # it cannot be told: what may go is of no use anyway
        if full.st_dev == images.st_dev:
            return ""
        return f"{mountpoint} is full, and Docker's images are on another disk ({root})"

    def nameless(self) -> tuple[Reclaimable, ...]:
        """Images that nothing names and nothing needs."""
        ledger, _ = self._ledger()
        rows, containers = self._engine.image_rows(), self._engine.containers()
        return reclaimable(rows, containers, ledger, (), ())

    def old_versions(self, now: datetime) -> tuple[Reclaimable, ...]:
        """Named versions of the application that nothing needs, older than CLEANUP_IMAGES_AFTER.

        None without a sound ledger: nobody knows then what proved good.
        """
        ledger, problem = self._ledger()
        containers = self._engine.containers()
        if problem or not ledger.releases:
            return ()
        apps = {c.image for c in roles.app_containers(containers, self._settings)}
        storage = {
            repository_of(c.image) for c in roles.minio_containers(containers, self._settings)
        }
        named = apps | {release.image for release in ledger.releases}
        ours = {repository_of(n) for n in named if not n.startswith(OWN_IMAGES)} - {""} - storage
        before = (now - self._settings.cleanup_images_after).timestamp()
        old = [row for row in self._engine.image_rows() if _made(row.get("Created")) < before]
        found = reclaimable(old, containers, ledger, (), ours)
        return tuple(sorted((one for one in found if one.names), key=lambda one: one.id))

    def _ledger(self) -> tuple[Ledger, str | None]:
        try:
            return LedgerFile(self._settings.state_dir / LEDGER).read()
        except OSError as error:
            return Ledger(), f"the version ledger cannot be read: {error.strerror}"

    def _here(self, path: str) -> Path:
        return self._settings.rootfs / path.lstrip("/")


def _made(value: object) -> float:
    """Unix seconds; what cannot be read counts as new."""
    try:
        return float(sound_int(value)) or float("inf")
    except (TypeError, ValueError):
        return float("inf")


def size(count: int) -> str:
    """``1.2 GiB``."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit < 2 else f"{value:.1f} {_UNITS[unit]}"
