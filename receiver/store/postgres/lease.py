"""Who works: one receiver at a time, for a term that it must renew; and what says so within each change.

- The lease ends by the database's clock. Whoever has it stops acting before that by its own: it counts from
  the moment in which it asked, so it can only be early.
- What a term changes, it changes in a transaction that sees the term still last. So a receiver that was
  stopped, or cut off, for longer than its lease claims nothing afterwards; what it had claimed, its successor
  finds as after a crash.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
import structlog
from psycopg import AsyncConnection

from receiver.store.database import Database
from receiver.store.postgres import server as servers
from receiver.store.postgres.database import PostgresDatabase
from receiver.store.postgres.dialect import in_words
from receiver.store.trouble import StoreError

Result = TypeVar("Result")
log = structlog.get_logger("lease")
LASTS_SECONDS = 10.0
RENEW_SECONDS = 2.0
MARGIN_SECONDS = 3.0
"""So long before its end whoever could not renew it stops."""
AGAIN_SECONDS = 0.5
_TAKE = """
UPDATE lease SET holder = %(holder)s, expires_at = clock_timestamp() + make_interval(secs => %(lasts)s),
    term = term + CASE WHEN holder = %(holder)s AND expires_at > clock_timestamp() THEN 0 ELSE 1 END
WHERE holder = %(holder)s OR expires_at <= clock_timestamp()
RETURNING term
"""
_NOW = "SELECT extract(epoch FROM clock_timestamp())"
_FREE = "free"
"""On the channel of the news: whoever waits for the lease asks at once."""
_GIVE_UP = "UPDATE lease SET expires_at = clock_timestamp() WHERE holder = %(holder)s"


class LostError(StoreError):
    """Another receiver works now, or may."""


@dataclass(frozen=True)
class Term:
    """One time of being the one who works."""

    number: int


class Lease:
    """``run`` for as long as this receiver would work; ``news`` is called when another one has changed something."""

    def __init__(self, database: PostgresDatabase, news: Callable[[], None]) -> None:
        self._database = database
        self._news = news
        self._clock = database.clock
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{database.name}"
        self._term: Term | None = None
        self._until = 0.0
        self._changed = asyncio.Condition()

    def lasts(self, term: Term) -> bool:
        """By our own count, which is not longer than the database's."""
        return self._term == term and self._clock.ticks() < self._until

    async def gained(self) -> Term:
        """Wait for a term."""
        while self._term is None or self._left() <= 0:
            async with self._changed:
                await self._changed.wait()
        return self._term

    async def lost(self, term: Term) -> None:
        """Return in time before it ends, or as soon as another one has begun."""
        while self._term == term and (left := self._left()) > 0:  # noqa: ASYNC110 - time itself ends it
            await asyncio.sleep(min(left, AGAIN_SECONDS))

    def _left(self) -> float:
        return self._until - MARGIN_SECONDS - self._clock.ticks()

    async def run(self) -> None:
        """Ask for the lease, renew it, and listen."""
        said = ""
        while True:
            try:
                async with await AsyncConnection.connect(
                    autocommit=True, **servers.parameters(self._database.server)
                ) as connection:
                    await connection.execute(f"LISTEN {self._database.server.news}")
                    said = ""
                    while True:
                        await self._ask(connection)
                        await self._listen(connection)
            except psycopg.Error as error:
                words = in_words(str(self._database.server), error)
                if words != said:
                    log.warning("who works cannot be asked for", problem=words)
                said = words
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self, connection: AsyncConnection) -> None:
        asked = self._clock.ticks()
        values = {"holder": self._holder, "lasts": LASTS_SECONDS}
        row = await (await connection.execute(_TAKE, values)).fetchone()
        async with self._changed:
            self._term = None if row is None else Term(int(row[0]))
            self._until = asked + LASTS_SECONDS
            self._changed.notify_all()
        asked = self._clock.ticks()
        now = await (await connection.execute(_NOW)).fetchone()
        if now is not None:
            self._clock.follow(float(now[0]), asked)

    async def _listen(self, connection: AsyncConnection) -> None:
        """Until it is to be asked for again."""
        until = self._clock.ticks() + RENEW_SECONDS
        while (left := until - self._clock.ticks()) > 0:
            async for note in connection.notifies(timeout=left, stop_after=1):
                if note.payload == _FREE:
                    return
                if note.payload != self._database.name:
                    self._news()

    async def give_up(self) -> None:
        """So that another receiver need not wait for its end. ``run`` has ended before."""
        self._term = None
        with contextlib.suppress(psycopg.Error, TimeoutError):  # then it ends by itself
            async with (
                asyncio.timeout(servers.CONNECT_SECONDS),
                await AsyncConnection.connect(
                    autocommit=True, **servers.parameters(self._database.server)
                ) as connection,
            ):
                await connection.execute(_GIVE_UP, {"holder": self._holder})
                await connection.execute(
                    "SELECT pg_notify(%s, %s)", (self._database.server.news, _FREE)
                )

    def check(self, connection: sqlite3.Connection, term: Term) -> None:
        """Within a change: whether it is still this term. Raises LostError."""
        row = connection.execute(
            "SELECT 1 FROM lease WHERE holder = ? AND term = ? AND expires_at > clock_timestamp()",
            (self._holder, term.number),
        ).fetchone()
        if row is None:
            raise LostError("another receiver works now")


class TermDatabase(Database):
    """The database as one term may change it."""

    shared = True

    def __init__(self, database: PostgresDatabase, lease: Lease, term: Term) -> None:
        super().__init__(Path("postgresql"))
        self._whole = database
        self._lease = lease
        self._within = term

    async def run(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        def checked(connection: sqlite3.Connection) -> Result:
            self._lease.check(connection, self._within)
            return change(connection)

        result = await self._whole.run(checked)
        if not self._lease.lasts(self._within):
            raise LostError(
                "the lease ended while its change was written: whoever works now goes on"
            )
        return result
