"""What is read out of a backup: one that was named or the newest, and its files' contents."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from recovery.backup.index import Entry
from recovery.backup.manifest import Kept, Manifest, read_manifest
from recovery.backup.sealing import Key, opened
from recovery.backup.shelf import key_to_read, newest, shelf
from recovery.run import Session
from recovery.steps import StepError
from target.lock import LockHeldError, exclusive, holder

READING = ".reading"
"""Held by whoever restores."""
BEFORE_RESTORE = "before-restore-"
"""Begins the name of what a restore saves first."""


def chosen(
    session: Session, name: str | None, *, data: bool = False
) -> tuple[Path, Manifest, Key | None]:
    """The backup called ``name``, else the newest (with ``data``: that has the sermons, where one has). Raises StepError.

    Not what a restore saved before it began: whoever runs a restore again that was cut off means the same as before.
    """
    directory = session.settings.backup_dir
    if name is None:
        found = [one for one in shelf(directory) if not one.folder.name.startswith(BEFORE_RESTORE)]
        manifest = (newest(found, data=True) if data else None) or newest(found)
        if manifest is None:
            broken = "".join(f"; {words}" for words in passed_over(directory))
            raise StepError(
                f"there is no backup in {directory}{broken}: sermon-recovery backup-create"
            )
        folder = directory / manifest.name
    else:
        folder = directory / name
        if not folder.is_dir():
            raise StepError(
                f"there is no backup {name} in {directory}: sermon-recovery backup-list"
            )
    manifest = read_manifest(folder)
    return folder, manifest, key_to_read(folder, manifest, session.settings.backup_key)


@contextmanager
def being_read(directory: Path) -> Iterator[None]:
    """While a restore needs them, no backup and no content is removed. Another restore may be at work too.

    On a disk that cannot be written, as one that was brought from elsewhere, nothing is removed anyway.
    """
    with ExitStack() as stack:
        who = f"pid {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        with suppress(LockHeldError, OSError):
            stack.enter_context(exclusive(directory / READING, who))
        yield


def nobody_reads(directory: Path) -> None:
    """Raises StepError while a restore is at work."""
    try:
        holder(directory / READING)
    except LockHeldError as error:
        raise StepError(f"nothing was removed: a restore is at work: {error}") from error


def the_one_before(backup: Manifest, directory: Path, *, data: bool) -> str:
    """The name of the next older backup that looks usable; empty where there is none."""
    older = (
        one
        for one in shelf(directory)
        if one.manifest and one.manifest.created_at < backup.created_at
    )
    last = newest(older, data=data)
    return last.name if last else ""


def passed_over(directory: Path) -> list[str]:
    """What cannot be used and may be newer than the one that is taken, in words."""
    return [
        f"{one.folder.name} is passed over, it cannot be used: {one.problem}"
        for one in shelf(directory)
        if one.manifest is None
    ]


def seems_newer(backup: Manifest, directory: Path) -> list[str]:
    """What cannot be used and was made after ``backup``, so far as its directory's time tells, in words."""
    made = backup.created_at.timestamp()
    return [
        f"{one.folder.name}, which seems to be newer, cannot be used: {one.problem}"
        for one in shelf(directory)
        if one.manifest is None and one.folder.stat().st_mtime > made
    ]


def content(folder: Path, kept: Kept, key: Key | None) -> bytes:
    """Of a small file. Raises StepError and OSError."""
    with (folder / kept.name).open("rb") as file:
        return b"".join(opened(key, file))


def stamp() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"[:18] + "Z"


class Chunks(io.RawIOBase):
    """An object's content as S3's client reads it. What the pieces raise ends the upload before its last part."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._held = pieces, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, and less only at the end."""
        parts, count = [self._held], len(self._held)
        while size < 0 or count < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            count += len(piece)
        whole = b"".join(parts)
        cut = len(whole) if size < 0 else size
        self._held = whole[cut:]
        return whole[:cut]


def latest(entries: list[Entry]) -> Entry:
    return max(entries, key=lambda entry: entry.modified)
