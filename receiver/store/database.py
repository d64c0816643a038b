"""The SQLite file: opening, migrations, and one writer that commits for everybody.

A change is a function that gets a connection inside a transaction. One thread runs them in order
and commits as many as are waiting at once (group commit), with synchronous=FULL: when the caller's
await returns, the change is on the disk. The event loop never waits for the disk itself.

While the store cannot be used (a full or read-only disk, a damaged file) every change fails in words, and
each goes on trying: once it is mended, everything goes on without a restart. A damaged file is let go of,
so that ``sermon-monitor store repair`` can have it.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import structlog

from receiver.store import trouble
from receiver.store.owner import Owner
from receiver.store.trouble import StoreError, TroubleError

__all__ = ["MIGRATIONS", "Change", "Database", "StoreError", "connect", "migrate", "reading"]

Result = TypeVar("Result")
Change = Callable[[sqlite3.Connection], Any]
Outcome = tuple[Any, BaseException | None]
"""What a change returned, or why it failed."""

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
    "schema_13.sql",
    "schema_14.sql",
)
"""Files of this package, in order; the number applied is the file's PRAGMA user_version."""
MOST_IN_ONE_COMMIT = 256
REOPEN_SECONDS = 1.0
_WAL_BYTES = 16 * 1024 * 1024
"""What is left of the write-ahead log's file after a checkpoint."""
_STOP = None
log = structlog.get_logger("store")


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file with the settings every connection needs. Raises StoreError."""
    connection = None
    if path.is_dir():
        raise StoreError(f"{path}: is a directory")
    try:
        if not read_only:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
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
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise trouble.of_sqlite(path, error) from error
    except OSError as error:
        raise trouble.of_system(path, error) from error
    return connection


def migrate(connection: sqlite3.Connection, until: int = len(MIGRATIONS)) -> None:
    """Bring a file up to date, or to schema ``until``. Raises StoreError for a file that a newer release wrote."""
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(
                f"the store has schema {version}, this release knows {len(MIGRATIONS)}: run the newer release, or restore a backup made before the upgrade"
            )
        for number, name in enumerate(MIGRATIONS[version:until], version + 1):
            script = resources.files("receiver.store").joinpath(name).read_text(encoding="utf-8")
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
    except sqlite3.Error as error:
        words = Path("the store cannot be brought to this release's schema")
        raise trouble.of_sqlite(words, error) from error


class Database:
    """One writer thread and its queue. ``open()`` before use, ``close()`` at the end."""

    shared = False
    """Whether other receivers use it too; a file is one receiver's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[
            tuple[Change, asyncio.Future[Any], asyncio.AbstractEventLoop] | None
        ] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None
        self._owner = Owner(path)
        self._tried_at = 0.0
        self._condemned: tuple[int, ...] = ()
        self.trouble: StoreError | None = None
        """Why it cannot be used now; None while it can. Looked at from everywhere, set by the writer."""

    def open(self) -> None:
        """Open and migrate. Raises StoreError where waiting would mend nothing; else it is tried again later."""
        try:
            self._connect()
        except TroubleError as error:
            self._fails(error)
        self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        """In the writer's thread, or before there is one."""
        self._tried_at = time.monotonic()
        if self.trouble and self._condemned and _state(self.path) == self._condemned:
            raise self.trouble  # a file that is damaged is not written again until somebody has mended it
        self._owner.take()
        connection = None
        try:
            connection = connect(self.path)
            migrate(connection)
        except StoreError as error:
            if connection is not None:
                connection.close()
            if isinstance(error, TroubleError) and error.damaged:
                self._condemn()
            elif not isinstance(error, TroubleError):
                self._owner.leave()
            raise
        self._connection = connection
        if self.trouble:
            log.info("the store can be used again")
        self.trouble = None
        return connection

    def _fails(self, error: StoreError) -> None:
        if str(error) != str(self.trouble):
            log.error("the store cannot be used", problem=str(error))
        self.trouble = error

    def _usable(self) -> sqlite3.Connection:
        """Raises StoreError: the last one, where it has just been tried."""
        if self._connection is not None:
            return self._connection
        if self.trouble and time.monotonic() - self._tried_at < REOPEN_SECONDS:
            raise self.trouble
        try:
            return self._connect()
        except StoreError as error:
            self._fails(error)
            raise

    def _let_go(self, error: sqlite3.Error, failure: TroubleError) -> None:
        """What the connection knows of the file may be of before it was mended."""
        if self._connection is not None and trouble.wants_a_new_connection(error):
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
            self._fails(failure)
            if failure.damaged:
                self._condemn()

    def _condemn(self) -> None:
        """Leave the file to whoever mends it."""
        self._condemned = _state(self.path)
        self._owner.leave()

    def close(self) -> None:
        """Commit what is queued, then close."""
        if self._thread:
            self._queue.put(_STOP)
            self._thread.join()
            self._thread = None
        if self._connection:
            self._connection.close()
            self._connection = None
        self._owner.leave()

    def reader(self) -> sqlite3.Connection:
        """A connection of its own to look with, beside the writer. Raises StoreError."""
        return connect(self.path, read_only=True)

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
        results: list[Outcome] = []
        try:
            results = self._together(batch)
        except StoreError as failure:
            results = [(None, failure)] * len(batch)
        # A loop is woken once: its own thread is not interrupted by each of what it is to hear.
        told: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Outcome]]] = {}
        for (_, future, loop), outcome in zip(batch, results, strict=True):
            told.setdefault(loop, []).append((future, outcome))
        for loop, outcomes in told.items():
            with contextlib.suppress(RuntimeError):  # the loop may have ended while we wrote
                loop.call_soon_threadsafe(_settle, outcomes)

    def _together(
        self, batch: list[tuple[Change, asyncio.Future[Any], asyncio.AbstractEventLoop]]
    ) -> list[Outcome]:
        connection = self._usable()
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [_within_savepoint(connection, change) for change, _, _ in batch]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            failure = trouble.of_sqlite(self.path, error)
            self._let_go(error, failure)
            raise failure from error
        if self.trouble:
            self.trouble = None
            log.info("the store can be used again")
        return results


def _state(path: Path) -> tuple[int, ...]:
    """Another one once the file is another, or has been written."""
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_ino, seen.st_mtime_ns, seen.st_size


def _within_savepoint(connection: sqlite3.Connection, change: Change) -> Outcome:
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


def _settle(outcomes: list[tuple[asyncio.Future[Any], Outcome]]) -> None:
    """In the loop's own thread."""
    for future, (result, problem) in outcomes:
        if future.cancelled():
            continue
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
        raise trouble.of_sqlite(path, error) from error
    finally:
        connection.close()
