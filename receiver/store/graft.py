"""Give a file whose schema cannot be read the schema of its own older copy, so that its rows can be read again.

A copy by SQLite's backup has every table where the original has it. So the pages stay, only the first is
made anew and empty, and what stood on it is entered again: what is a table, and on which page it begins.
Source: sqlite.org/fileformat.html, "The Database Header", and "Storage Of The SQL Database Schema".
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_SIZE_AT = 28
"""Of the database in pages, four bytes, the most significant first."""


def schema_is_readable(c: sqlite3.Connection) -> bool:
    try:
        return bool(c.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    except sqlite3.Error:
        return False


def graft(damaged: Path, copy: Path) -> None:
    """Raises sqlite3.Error or OSError; then ``damaged`` is of no more use than before."""
    with closing(sqlite3.connect(copy)) as older:
        version, page = (older.execute(f"PRAGMA {what}").fetchone()[0] for what in ("user_version", "page_size"))  # fmt: skip
        tables = older.execute("SELECT * FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").fetchall()  # fmt: skip
    first = _first_page(damaged.with_name(f"{damaged.name}.first"), version, page)
    pages = damaged.stat().st_size // page
    with damaged.open("r+b") as file:
        file.write(first[:_SIZE_AT] + pages.to_bytes(4, "big") + first[_SIZE_AT + 4 :])
    Path(f"{damaged}-wal").unlink(missing_ok=True)  # it would bring the damage back
    with closing(sqlite3.connect(damaged, isolation_level=None)) as c:
        c.execute("PRAGMA writable_schema = ON")
        c.execute("BEGIN")
        c.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", tables)
        c.execute("COMMIT")


def _first_page(scratch: Path, version: int, page: int) -> bytes:
    """Of a database without a table."""
    try:
        with closing(sqlite3.connect(scratch, isolation_level=None)) as c:
            c.execute(f"PRAGMA page_size = {page}")
            c.execute(f"PRAGMA user_version = {version}")
        return scratch.read_bytes()[:page]
    finally:
        scratch.unlink(missing_ok=True)
