"""The store's file as seen from outside the service: is it there, and is it one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from receiver.store.database import StoreError, reading


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
    """As ``reading``; refuses an empty or foreign SQLite file in words. Raises StoreError."""
    with reading(path) as connection:
        ours = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'incidents'"
        ).fetchone()
        if ours is None:
            raise StoreError(f"{path}: not a store of sermon-monitor: it has no incidents in it")
        yield connection
