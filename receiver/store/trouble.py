"""What is wrong with the store, in words that say what mends it.

Result codes: sqlite.org/rescode.html. The primary code is the lowest byte.
"""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_STALE = (*_DAMAGED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full; it goes on by itself once there is room",
    sqlite3.SQLITE_READONLY: "it cannot be written; it goes on by itself once it can be",
    sqlite3.SQLITE_CANTOPEN: "the disk is read-only or full, or the file is somebody else's; it goes on by itself once it can be opened",
    sqlite3.SQLITE_IOERR: "the disk does not do its work; it goes on by itself once it does",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; what mends it, and keeps it aside: sermon-monitor store repair",
    sqlite3.SQLITE_NOTADB: "the file is damaged; what mends it, and keeps it aside: sermon-monitor store repair",
}


class StoreError(Exception):
    """The store cannot be opened, read or written now, in words."""


class TroubleError(StoreError):
    """It may be mended, or pass, while we run. ``damaged``: the file itself is not sound."""

    def __init__(self, words: str, *, damaged: bool = False) -> None:
        super().__init__(words)
        self.damaged = damaged


def of_sqlite(path: Path, error: sqlite3.Error) -> TroubleError:
    """SQLite's own words, and ours where we know more."""
    code = _primary(error)
    more = f" ({_WORDS[code]})" if code in _WORDS else ""
    return TroubleError(f"{path}: {error}{more}", damaged=code in _DAMAGED)


def of_system(path: Path, error: OSError) -> StoreError:
    """A full disk passes; a directory that is somebody else's does not."""
    words = f"{path}: {error.strerror or error}"
    return TroubleError(words) if error.errno in _PASSING else StoreError(words)


def wants_a_new_connection(error: sqlite3.Error) -> bool:
    """Whether the file behind the connection may be another one, or in another state, when it is mended."""
    return _primary(error) in _STALE


def _primary(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR
    return code & 0xFF
