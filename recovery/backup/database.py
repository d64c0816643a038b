"""The monitor's own store: taken while it is in use, by SQLite's online backup, and put back the same way."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from recovery.steps import StepError

NAME = "receiver.sqlite3"
WAIT_SECONDS = 10.0
"""For whoever writes at the moment."""


def taken(path: Path) -> bytes:
    """The store as of one moment, in memory: no half of it ever lies on a disk. Raises StepError."""
    try:
        with _opened(path, "ro") as source, _memory() as copy:
            source.backup(copy)
            return _without_wal(copy.serialize())
    except sqlite3.Error as error:
        raise StepError(f"{path}: {error}") from error


def look(content: bytes) -> int:
    """How many incidents are in it. Raises StepError where it is no sound store of ours."""
    try:
        with _memory() as copy:
            copy.deserialize(content)
            sound = [str(row[0]) for row in copy.execute("PRAGMA integrity_check")]
            if sound != ["ok"]:
                raise StepError(f"the store is not sound: {'; '.join(sound[:3])}")
            count: int = copy.execute("SELECT count(*) FROM incidents").fetchone()[0]
            return count
    except sqlite3.Error as error:
        raise StepError(f"the store is not sound: {error}") from error


def put_back(content: bytes, path: Path) -> None:
    """In one transaction: a crash leaves what was there. Raises StepError."""
    try:
        with _memory() as copy:
            copy.deserialize(content)
            with _opened(path, "rwc") as target:
                copy.backup(target)
    except sqlite3.Error as error:
        raise StepError(f"{path}: {error}") from error


def is_sound(path: Path) -> bool:
    """Whether a sound store is there already."""
    try:
        return path.exists() and look(taken(path)) >= 0
    except (StepError, OSError):
        return False


@contextlib.contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=WAIT_SECONDS
    )
    try:
        yield connection
    finally:
        connection.close()


def _without_wal(image: bytes) -> bytes:
    """A database in memory cannot have a WAL: both format versions of the header become 1, the legacy one.

    Source: sqlite.org/fileformat.html, "File format version numbers", bytes 18 and 19.
    """
    return image[:18] + b"\x01\x01" + image[20:] if len(image) > 20 else image


def _memory() -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(":memory:"))
