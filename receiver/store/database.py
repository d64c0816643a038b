"""The SQLite file: opening, migrations, and one writer that commits for everybody.

A change is a function that gets a connection inside a transaction. One thread runs them in order
and commits as many as are waiting at once (group commit), with synchronous=FULL: when the caller's
await returns, the change is on the disk. The event loop never waits for the disk itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

Result = TypeVar("Result")
Change = Callable[[sqlite3.Connection], Any]

MIGRATIONS = (
    "schema.sql",
    "schema_2.sql",
    "schema_3.sql",
    "schema_4.sql",
    "schema_5.sql",
    "schema_6.sql",
    "schema_7.sql",
    "schema_8.sql",
    "schema_9.sql",
    "schema_10.sql",
    "schema_11.sql",
    "schema_12.sql",
)
"""Files of this package, in order; the number applied is the file's PRAGMA user_version."""
MOST_IN_ONE_COMMIT = 256
_STOP = None


class StoreError(Exception):
    """The store cannot be opened, read or written now, in words."""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file with the settings every connection needs. Raises StoreError."""
    connection = None
    try:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        mode = "ro" if read_only else "rwc"
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise StoreError(f"{path}: {error}") from error
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a file up to date. Raises StoreError for a file that a newer release wrote."""
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the store has schema {version}, this release knows {len(MIGRATIONS)}: run the newer release, or restore a backup made before the upgrade"
            )
        for number, name in enumerate(MIGRATIONS[version:], version + 1):
            script = resources.files("receiver.store").joinpath(name).read_text(encoding="utf-8")
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
    except sqlite3.Error as error:
        raise StoreError(
            f"the store cannot be brought to this release's schema: {error}"
        ) from error


class Database:
    """One writer thread and its queue. ``open()`` before use, ``close()`` at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.Queue[
            tuple[Change, asyncio.Future[Any], asyncio.AbstractEventLoop] | None
        ] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open and migrate. Raises StoreError."""
        self._connection = connect(self.path)
        try:
            migrate(self._connection)
        except StoreError:
            self.close()
            raise
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what is queued, then close."""
        if self._thread:
            self._queue.put(_STOP)
            self._thread.join()
            self._thread = None
        if self._connection:
            self._connection.close()
            self._connection = None

    @property
    def waiting(self) -> int:
        """How many changes wait for their commit."""
        return self._queue.qsize()

    async def run(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run ``change`` in a transaction; returns after its commit. Raises StoreError, or what ``change`` raised."""
        if not self._thread:
            raise StoreError("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.put((change, future, loop))
        return await future

    def _write(self) -> None:
        while (first := self._queue.get()) is not _STOP:
            batch = [first]
            with contextlib.suppress(queue.Empty):
                while len(batch) < MOST_IN_ONE_COMMIT:
                    following = self._queue.get_nowait()
                    if following is _STOP:
                        self._queue.put(_STOP)
                        break
                    batch.append(following)
            self._commit(batch)

    def _commit(
        self, batch: list[tuple[Change, asyncio.Future[Any], asyncio.AbstractEventLoop]]
    ) -> None:
        connection = self._connection
        if connection is None:  # close() joins this thread before it closes the connection
            raise StoreError("the store is closed")
        results: list[tuple[Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [_within_savepoint(connection, change) for change, _, _ in batch]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            failure = StoreError(f"{self.path}: {error}")
            results = [(None, failure)] * len(batch)
        for (_, future, loop), (result, problem) in zip(batch, results, strict=True):
            with contextlib.suppress(RuntimeError):  # the loop may have ended while we wrote
                loop.call_soon_threadsafe(_settle, future, result, problem)


def _within_savepoint(
    connection: sqlite3.Connection, change: Change
) -> tuple[Any, BaseException | None]:
    connection.execute("SAVEPOINT one_change")
    try:
        result = change(connection)
    except Exception as error:  # one change's own fault is its caller's, not its neighbours'
        if type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError):
            raise  # disk full, I/O error, locked, damaged: the whole commit is in doubt
        connection.execute("ROLLBACK TO one_change")
        connection.execute("RELEASE one_change")
        return None, error
    connection.execute("RELEASE one_change")
    return result, None


def _settle(future: asyncio.Future[Any], result: Any, problem: BaseException | None) -> None:
    if future.cancelled():
        return
    if problem is not None:
        future.set_exception(problem)
    else:
        future.set_result(result)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A read-only look at the file, beside a running process. Raises StoreError."""
    connection = connect(path, read_only=True)
    try:
        connection.execute("BEGIN")
        yield connection
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        connection.close()
