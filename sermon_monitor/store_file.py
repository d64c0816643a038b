"""The store as seen from outside the service, a file or PostgreSQL: is it there, and is it one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from receiver.store.database import MIGRATIONS, StoreError, connect, migrate, reading
from receiver.store.postgres import server as servers
from receiver.store.postgres.server import Server

if TYPE_CHECKING:
    from receiver.store.postgres.dialect import Connection


def exists(path: Path | Server) -> bool:
    """Whether ``path`` is there. Raises StoreError where that cannot be seen, as in a directory of somebody else's."""
    if isinstance(path, Server):
        return _has_tables(path)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        mend = "STATE_DIR says where it is"
        if isinstance(error, PermissionError):
            mend = "sudo, or join the group of that directory; STATE_DIR names another"
        raise StoreError(f"{path}: {error.strerror}; {mend}") from error
    return True


def looking(path: Path | Server) -> AbstractContextManager[sqlite3.Connection]:
    """To look at it, beside a running process. Raises StoreError."""
    return _looking_at(path) if isinstance(path, Server) else _looking_into(path)


@contextlib.contextmanager
def _looking_into(path: Path) -> Iterator[sqlite3.Connection]:
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
    of_a_file = type(original) is sqlite3.Connection
    if original is not None and of_a_file:
        original.backup(copy)
    migrate(copy)
    if original is not None and not of_a_file:
        _rows_into(copy, original)
    return copy


def writing(path: Path | Server) -> AbstractContextManager[sqlite3.Connection]:
    """A transaction on the store, beside a running process or without one. Raises StoreError.

    What is raised within undoes it.
    """
    return _writing_to(path) if isinstance(path, Server) else _writing_into(path)


@contextlib.contextmanager
def _writing_into(path: Path) -> Iterator[sqlite3.Connection]:
    """Refuses a foreign file, and makes one where there is none."""
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


@contextlib.contextmanager
def _on_server(server: Server) -> Iterator[Connection]:
    """Raises StoreError where nothing of ours, or of a newer release's, is there."""
    connection = servers.connect(server)
    try:
        number = servers.version(connection)
        if number is None:
            raise StoreError(
                f"{server} has no tables of ours yet: the receiver makes them at its start"
            )
        if number != len(servers.MIGRATIONS):
            newer = number > len(servers.MIGRATIONS)
            mends = "run the newer release" if newer else "start the receiver of this release"
            raise StoreError(
                f"{server} has schema {number}, this release knows {len(servers.MIGRATIONS)}: {mends}"
            )
        yield connection
    finally:
        connection.close()


def _has_tables(server: Server) -> bool:
    with contextlib.closing(servers.connect(server)) as connection:
        return servers.version(connection) is not None


@contextlib.contextmanager
def _looking_at(server: Server) -> Iterator[sqlite3.Connection]:
    with _on_server(server) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield servers.like_sqlite(connection)


@contextlib.contextmanager
def _writing_to(server: Server) -> Iterator[sqlite3.Connection]:
    try:
        with _on_server(server) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield servers.like_sqlite(connection)
            servers.commit(connection, "a command")
    except sqlite3.Error as error:
        raise StoreError(f"{server}: {error}") from error


def _rows_into(copy: sqlite3.Connection, original: sqlite3.Connection) -> None:
    """Every row that a server has, by the columns that a file has too."""
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    for (table,) in copy.execute(tables).fetchall():
        columns = [row["name"] for row in copy.execute(f"PRAGMA table_info({table})")]
        found = original.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()  # noqa: S608 - our own schema
        marks = ", ".join("?" * len(columns))
        copy.executemany(f"INSERT INTO {table} VALUES ({marks})", found)  # noqa: S608 - our own schema
