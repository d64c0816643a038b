"""The store's file as seen from outside the service: is it there, and is it one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from receiver.store.database import MIGRATIONS, StoreError, connect, migrate, reading


def exists(path: Path) -> bool:
    """Whether ``path`` is there. Raises StoreError where that cannot be seen, as in a directory of somebody else's."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; STATE_DIR says where it is") from error
    return True


@contextlib.contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """As ``reading``; refuses an empty or foreign SQLite file in words. Raises StoreError.

    A file of an older release is read through a copy in memory that is brought up to date.
    """
    with reading(path) as connection:
        _see_that_it_is_ours(connection, path)
        if connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS):
            yield connection
            return
        with contextlib.closing(in_memory(connection)) as copy:
            yield copy


def _see_that_it_is_ours(connection: sqlite3.Connection, path: Path) -> None:
    ours = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'incidents'"
    ).fetchone()
    if ours is None:
        raise StoreError(f"{path}: not a store of sermon-monitor: it has no incidents in it")


def in_memory(original: sqlite3.Connection | None = None) -> sqlite3.Connection:
    """A store in memory with this release's schema: a copy, or an empty one. Raises StoreError."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.row_factory = sqlite3.Row
    if original is not None:
        original.backup(copy)
    migrate(copy)
    return copy


@contextlib.contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction on the store's file, beside a running process or without one. Raises StoreError.

    What is raised within undoes it. Refuses a foreign file, and makes one where there is none.
    """
    there = exists(path)
    connection = connect(path)
    try:
        if there:
            _see_that_it_is_ours(connection, path)
        migrate(connection)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        connection.close()
