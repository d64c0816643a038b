"""Many rows by few statements.

SQLite is called without the interpreter's lock, which must be waited for anew after each row of an
``executemany`` while the event loop is busy; so a hundred rows by a hundred calls cost ten times as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from sqlite3 import Connection
from typing import Any

SIZES = (64, 32, 16, 8, 4, 2, 1)
"""Rows by one statement: a few fixed numbers, so that the connection keeps them prepared."""


def insert(
    c: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert ``rows`` in order. ``table`` and ``columns`` are our own words, never a sender's."""
    begin = 0
    for size in SIZES:
        while len(rows) - begin >= size:
            some = rows[begin : begin + size]
            c.execute(_statement(table, tuple(columns), size), tuple(chain.from_iterable(some)))
            begin += size


@lru_cache(maxsize=32)
def _statement(table: str, columns: tuple[str, ...], size: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * size)}"  # noqa: S608 - our own words
