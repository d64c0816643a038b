"""A psycopg connection that is used like SQLite's: the same marks for values, rows by name, errors by DB-API names."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, SupportsIndex, overload

import psycopg
from psycopg import ClientCursor, errors

from receiver.store.postgres.server import Server
from receiver.store.trouble import TroubleError

BEGIN_ALONE = "BEGIN IMMEDIATE"
"""A transaction that comes after every other receiver's before it."""
Values = Mapping[str, Any] | Sequence[Any]
_MARK = re.compile(r"'(?:[^']|'')*'|\?|:[a-z_]+|%")
"""A literal, in which nothing is a mark; a mark by place; one by name; what psycopg would take for one."""


class Row(tuple[Any, ...]):
    """As sqlite3.Row: by place and by name."""

    names: Mapping[str, int]

    @overload
    def __getitem__(self, key: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Any, ...]: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: SupportsIndex | slice | str) -> Any:
        return super().__getitem__(self.names[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        return list(self.names)


def _rows(cursor: psycopg.Cursor[Any]) -> type[Row]:
    """psycopg's row factory."""
    return _kind(tuple(column.name for column in cursor.description or ()))


@lru_cache(maxsize=512)
def _kind(columns: tuple[str, ...]) -> type[Row]:
    names = {name: place for place, name in reversed(list(enumerate(columns)))}
    return type("Row", (Row,), {"names": names})


class Connection:
    """As much of sqlite3.Connection as the store's SQL uses."""

    def __init__(self, connection: psycopg.Connection[Any], server: Server) -> None:
        """``connection`` in autocommit."""
        self._connection = connection
        self._name = str(server)
        self.server = server

    @property
    def raw(self) -> psycopg.Connection[Any]:
        return self._connection

    @property
    def broken(self) -> bool:
        return self._connection.closed or self._connection.broken

    def execute(self, query: str, values: Values = ()) -> ClientCursor[Row]:
        """Raises sqlite3.IntegrityError, sqlite3.ProgrammingError or TroubleError."""
        if query == BEGIN_ALONE:
            self.execute("BEGIN")
            return self.execute("SELECT pg_advisory_xact_lock(?)", (self.server.lock,))
        cursor: ClientCursor[Any] = ClientCursor(self._connection, row_factory=_rows)
        with _in_words(self._name):
            cursor.execute(translated(query).encode(), _sent(values))
        return cursor

    def executemany(self, query: str, rows: Sequence[Values]) -> None:
        for values in rows:
            self.execute(query, values)

    def script(self, text: str) -> None:
        """Several statements without values."""
        with _in_words(self._name):
            ClientCursor(self._connection).execute(text.encode())

    def close(self) -> None:
        self._connection.close()


@lru_cache(maxsize=512)
def translated(query: str) -> str:
    """psycopg's marks for SQLite's."""
    return _MARK.sub(_mark, query)


def _mark(match: re.Match[str]) -> str:
    found = match[0]
    if found == "?":
        return "%s"
    if found.startswith(":"):
        return f"%({found[1:]})s"
    return found.replace("%", "%%")


def _sent(values: Values) -> Values:
    if isinstance(values, Mapping):
        return {name: _value(value) for name, value in values.items()}
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    """A truth is a number, as SQLite has it; PostgreSQL's texts cannot hold a zero byte."""
    if isinstance(value, bool):
        return int(value)
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


_TROUBLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    errors.InsufficientPrivilege,
    errors.UndefinedTable,
)
"""No fault of a change: the store as a whole cannot be used."""


@contextlib.contextmanager
def _in_words(name: str) -> Iterator[None]:
    try:
        yield
    except psycopg.IntegrityError as error:
        raise sqlite3.IntegrityError(_said(error)) from error
    except _TROUBLE as error:
        raise TroubleError(in_words(name, error)) from error
    except psycopg.Error as error:
        raise sqlite3.ProgrammingError(_said(error)) from error


_FOR_GOOD = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "pg_hba.conf",
)
"""Waiting mends none of these."""


def is_for_good(error: psycopg.Error) -> bool:
    """Whether somebody must change DATABASE_URL, or the server."""
    return any(sign in str(error) for sign in _FOR_GOOD)


def in_words(name: str, error: psycopg.Error) -> str:
    """One line that says what mends it where we know; it never holds a password."""
    said = _said(error)
    for sign, mends in (
        ("password authentication failed", "user or password of DATABASE_URL is wrong"),
        ("no password supplied", "DATABASE_URL has no password, and PostgreSQL asks for one"),
        ("relation", "a table of ours is gone, or of another release"),
        ("permission denied", "the user of DATABASE_URL must own our tables"),
        ("does not exist", "create it first: docs/several-receivers.md"),
        ("resolve host", "no such host: see the name in DATABASE_URL"),
        ("Name or service not known", "no such host: see the name in DATABASE_URL"),
        ("Connection refused", "nothing listens there; it goes on by itself once PostgreSQL does"),
        ("starting up", "it goes on by itself in a moment"),
        ("shutting down", "it goes on by itself once PostgreSQL is back"),
        (
            "read-only",
            "this is a standby, or made read-only; it goes on by itself once it can be written",
        ),
    ):
        if sign in said:
            return f"{name}: {said} ({mends})"
    return f"{name}: {said}"


def _said(error: psycopg.Error) -> str:
    """psycopg's first line."""
    first = error.diag.message_primary or next(iter(str(error).splitlines()), type(error).__name__)
    return first.removeprefix("connection failed: ")
