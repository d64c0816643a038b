"""One writer thread a receiver, as with SQLite's file; and a lock that puts the receivers' transactions in a row.

An answer that got lost with the connection may have been committed all the same: then the caller has a
StoreError for something that is done. Whoever records first and acts then is made for that: it is as if the
process had died right after the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
import time
from pathlib import Path
from typing import Any

import structlog

from receiver.store.database import REOPEN_SECONDS, Change, Database
from receiver.store.postgres import server as servers
from receiver.store.postgres.clock import ServerClock
from receiver.store.postgres.dialect import Connection
from receiver.store.postgres.server import Server
from receiver.store.trouble import StoreError, TroubleError

log = structlog.get_logger("store")


class PostgresDatabase(Database):
    """As the base class; ``clock`` follows the server's."""

    shared = True

    def __init__(self, server: Server, clock: ServerClock) -> None:
        super().__init__(Path("postgresql"))
        self.server = server
        self.clock = clock
        self.name = secrets.token_hex(8)
        """Of this receiver, among those who share the database."""
        self._link: Connection | None = None

    def open(self) -> None:
        try:
            self._joined()
        except TroubleError as error:
            self._fails(error)
        self._start()

    def close(self) -> None:
        super().close()
        self._let_go_of_it()

    def reader(self) -> sqlite3.Connection:
        return servers.like_sqlite(servers.connect(self.server))

    def _joined(self) -> Connection:
        """The writer's connection. Raises StoreError: the last one, where it has just been tried."""
        if self._link is not None and not self._link.broken:
            return self._link
        self._let_go_of_it()
        if self.trouble and time.monotonic() - self._tried_at < REOPEN_SECONDS:
            raise self.trouble
        self._tried_at = time.monotonic()
        link = servers.connect(self.server)
        try:
            servers.migrate(link, str(self.server))
            self._ask_the_time(link)
        except BaseException:  # also what ends the process: nobody else knows of it yet
            link.close()
            raise
        self._link = link
        return link

    def _ask_the_time(self, link: Connection) -> None:
        asked = self.clock.ticks()
        row = link.execute("SELECT extract(epoch FROM clock_timestamp()) AS now").fetchone()
        if row is not None:
            self.clock.follow(float(row["now"]), asked)

    def _let_go_of_it(self) -> None:
        if self._link is not None:
            with contextlib.suppress(Exception):  # it is of no use any more, whatever it says
                self._link.close()
            self._link = None

    def _together(
        self, batch: list[tuple[Change, asyncio.Future[Any], asyncio.AbstractEventLoop]]
    ) -> list[tuple[Any, BaseException | None]]:
        try:
            results = self._in_a_row([change for change, _, _ in batch])
        except StoreError as failure:
            self._let_go_of_it()
            self._fails(failure)
            raise
        if self.trouble:
            self.trouble = None
            log.info("the store can be used again")
        return results

    def _in_a_row(self, changes: list[Change]) -> list[tuple[Any, BaseException | None]]:
        """Raises StoreError."""
        link = self._joined()
        try:
            link.execute("BEGIN IMMEDIATE")
            results = [_within_savepoint(link, change) for change in changes]
            servers.commit(link, self.name)
        except sqlite3.Error as error:
            raise TroubleError(f"{self.server}: {error}") from error
        return results


def _within_savepoint(link: Connection, change: Change) -> tuple[Any, BaseException | None]:
    link.execute("SAVEPOINT one_change")
    try:
        result = change(servers.like_sqlite(link))
    except Exception as error:  # one change's own fault is its caller's, not its neighbours'
        if link.broken or isinstance(error, TroubleError):
            raise TroubleError(str(error)) from error
        link.execute("ROLLBACK TO one_change")
        link.execute("RELEASE one_change")
        return None, error
    link.execute("RELEASE one_change")
    return result, None
