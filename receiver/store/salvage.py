"""Read what can still be read of a damaged store, and what its last sound copy has beside that.

SQLite finds damage page by page: the rows of a page that was flipped cannot be read, those around it can.
What is put together is judged anew by the schema: each row by its checks, all of them by their references.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from receiver.store.database import MIGRATIONS

_ROWS_OF_A_PAGE = 4096
"""More rows than that never lie on one page."""
_FARTHEST = 2**40
_JSON = ("labels", "annotations", "detail")
LOST = "its own row could not be read; made anew by the repair of the store"
STALE = "of an older copy of the store: what became of it is not known"


@dataclass
class Salvaged:
    """By table: rows ``read`` of the damaged file, rows ``copied`` from the older copy, and ``gaps``:
    stretches that could not be read, and rows that no check lets in."""

    read: dict[str, int] = field(default_factory=dict)
    copied: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing or old."""
        return not any((*self.copied.values(), *self.gaps.values()))


def version_of(c: sqlite3.Connection) -> int:
    """Its schema; 0 where not even that can be read."""
    try:
        version: int = c.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        return 0
    return version if 0 < version <= len(MIGRATIONS) else 0


def salvage(
    into: sqlite3.Connection,
    damaged: sqlite3.Connection,
    older: sqlite3.Connection | None,
    now: datetime,
) -> Salvaged:
    """Fill ``into``, which is empty and of the same schema as both; in one transaction of the caller's."""
    done = Salvaged()
    for table in _tables(into):
        taken, done.gaps[table] = _take(into, table, damaged)
        done.read[table] = len(taken)
    if older is not None:
        for table in _tables(into):
            taken, _ = _take(into, table, older)
            done.copied[table] = len(taken)
            _end_what_is_old(into, table, taken, now)
    _mend_references(into, done, now)
    return done


def _tables(c: sqlite3.Connection) -> list[str]:
    found = c.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return [row[0] for row in found]


def _take(
    into: sqlite3.Connection, table: str, source: sqlite3.Connection
) -> tuple[list[object], int]:
    """The rowids of those that are there now and were not; how many gaps there are."""
    columns = [row[1] for row in into.execute(f"PRAGMA table_info({table})")]
    names = columns if "id" in columns else ["rowid", *columns]  # an id is the rowid
    insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our schema's own names
    known = {row[0] for row in into.execute(f"SELECT rowid FROM {table}")}  # noqa: S608
    taken: list[object] = []
    gaps = 0
    for row in readable(source, table, columns):
        if row is None:
            gaps += 1
        elif row[0] not in known:
            try:
                _see_that_it_can_be_read(columns, row[1:])
                into.execute(insert, row[-len(names) :])
                taken.append(row[0])
            except (sqlite3.Error, ValueError):
                gaps += 1
    return taken, gaps


def _see_that_it_can_be_read(columns: Sequence[str], values: Sequence[object]) -> None:
    """Raises ValueError."""
    for name, value in zip(columns, values, strict=True):
        if name in _JSON and not isinstance(json.loads(str(value)), dict):
            raise ValueError(name)


def readable(
    c: sqlite3.Connection, table: str, columns: Sequence[str]
) -> Iterator[tuple[object, ...] | None]:
    """Each row with its rowid before it, in order; None once for each stretch that cannot be read."""
    what = f"SELECT rowid, {', '.join(columns)} FROM {table}"  # noqa: S608 - our schema's own names
    last = -1
    while True:
        try:
            for row in c.execute(f"{what} WHERE rowid > ? ORDER BY rowid", (last,)):
                last = row[0]
                yield tuple(row)
        except sqlite3.Error:
            yield None
        else:
            return
        beyond = _beyond(c, table, last)
        if beyond is None:
            return
        last = beyond - 1


def _beyond(c: sqlite3.Connection, table: str, last: int) -> int | None:
    """The first rowid after ``last`` that can be read again."""
    one = f"SELECT rowid FROM {table} WHERE rowid = ?"  # noqa: S608 - our schema's own name
    onward = f"SELECT rowid FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT 1"  # noqa: S608
    for candidate in range(last + 2, last + 2 + _ROWS_OF_A_PAGE):
        with suppress(sqlite3.Error):
            if c.execute(one, (candidate,)).fetchone():
                return candidate
    leap = _ROWS_OF_A_PAGE
    while leap < _FARTHEST:
        with suppress(sqlite3.Error):
            found = c.execute(onward, (last + leap,)).fetchone()
            return int(found[0]) if found else None
        leap *= 2
    return None


_ENDS = {
    "steps": "UPDATE steps SET state = iif(state = 'running', 'failed', 'dropped'), ended_at = :now, words = :words"
    " WHERE id = :id AND state IN ('pending', 'running')",
    "messages": "UPDATE messages SET delivered = revision, error = :words WHERE id = :id AND revision > delivered",
}


def _end_what_is_old(
    c: sqlite3.Connection, table: str, numbers: Sequence[object], now: datetime
) -> None:
    """Nothing of the older copy is begun or told again: it may have been, since."""
    if table in _ENDS:
        rows = [{"id": one, "now": now.timestamp(), "words": STALE} for one in numbers]
        c.executemany(_ENDS[table], rows)


def _mend_references(c: sqlite3.Connection, done: Salvaged, now: datetime) -> None:
    while broken := c.execute("PRAGMA foreign_key_check").fetchall():
        for table, rowid, parent, number in broken:
            column = next(
                row[3] for row in c.execute(f"PRAGMA foreign_key_list({table})") if row[0] == number
            )
            if parent == "incidents":
                _stand_in(c, table, rowid, column, now)
            elif _may_be_empty(c, table, column):
                c.execute(f"UPDATE {table} SET {column} = NULL WHERE rowid = ?", (rowid,))  # noqa: S608
            else:
                c.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))  # noqa: S608
                done.gaps[table] += 1


def _stand_in(c: sqlite3.Connection, table: str, rowid: int, column: str, now: datetime) -> None:
    """What was done in an incident counts for the budgets, also where the incident's own row is gone."""
    which = f"SELECT {column} FROM {table} WHERE rowid = ?"  # noqa: S608 - our schema's own names
    (number,) = c.execute(which, (rowid,)).fetchone()
    at = now.timestamp()
    c.execute(
        "INSERT INTO incidents (id, service, state, severity, opened_at, resolved_at, verdict)"
        " VALUES (?, 'sermon-uploader', 'resolved', 'critical', ?, ?, ?) ON CONFLICT DO NOTHING",
        (number, at, at, LOST),
    )


def _may_be_empty(c: sqlite3.Connection, table: str, column: str) -> bool:
    found = {row[1]: row[3] for row in c.execute(f"PRAGMA table_info({table})")}
    return not found[column]
