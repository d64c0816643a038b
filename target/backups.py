"""What is in BACKUP_DIR, as far as every room asks."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

STATUS = ".status.json"
"""Written by the toolkit, readable by all; a backup itself is its owner's alone."""
MOST_BYTES = 64 * 1024
AHEAD_SECONDS = 3600.0
"""So far another clock may be ahead."""


class Made(BaseModel):
    """One backup. ``at``: Unix time; ``bytes``: of all that it holds, the shared contents too."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    at: float
    bytes: int
    seconds: float
    objects: int = 0


class Drill(BaseModel):
    """The last try to restore one."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    at: float
    ok: bool
    words: str = ""
    backup: str = ""


class Status(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    newest: Made | None = None
    newest_with_data: Made | None = None
    drill: Drill | None = None


def has_been(at: float, now: float) -> bool:
    """Whether a time has come, but for another machine's clock, as that of a disk elsewhere. Pure."""
    return at <= now + AHEAD_SECONDS


def read_status(directory: Path) -> Status:
    """What the toolkit said last; nothing where it has said nothing that can be read. Raises OSError but for a missing file."""
    try:
        with (directory / STATUS).open("rb") as file:
            return Status.model_validate_json(file.read(MOST_BYTES))
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return Status()


def newest_backup(directory: Path) -> float | None:
    """When the newest entry was made, as Unix time; None where there is none. Raises OSError where it cannot be seen.

    What a wrong clock made in the future does not count: it would hide for years that no other follows.
    """
    now = time.time()
    try:
        modified = [
            entry.lstat().st_mtime
            for entry in directory.iterdir()
            if not entry.name.startswith(".")  # hidden: one that is still being written
        ]
    except (FileNotFoundError, NotADirectoryError):
        return None
    return max((at for at in modified if has_been(at, now)), default=None)
