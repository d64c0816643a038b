"""Several receivers on one PostgreSQL: all accept and show, one at a time works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from receiver.clock import Clock
from receiver.duty import Duty
from receiver.store import keys
from receiver.store.database import Database, StoreError
from receiver.store.postgres.clock import ServerClock
from receiver.store.postgres.database import PostgresDatabase
from receiver.store.postgres.lease import Lease, Term, TermDatabase
from receiver.store.postgres.server import Server

log = structlog.get_logger("receiver")


class Sharing:
    """``run`` works whenever it is this receiver's turn; ``duty`` is None while it is another's."""

    def __init__(self, server: Server, clock: Clock, monotonic: Callable[[], float]) -> None:
        self.clock = ServerClock(clock, monotonic)
        self.database = PostgresDatabase(server, self.clock)
        self.duty: Duty | None = None
        self._lease = Lease(self.database, self._news)
        self._asking: asyncio.Task[None] | None = None

    def _news(self) -> None:
        if self.duty is not None:
            self.duty.wake()

    async def run(self, make: Callable[[Database], Duty]) -> None:
        """Until ``stop``. Raises what ended one of the tasks of our work before its time."""
        self._asking = asyncio.create_task(self._lease.run(), name="lease")
        while True:
            term = await self._my_turn(self._asking)
            duty = make(TermDatabase(self.database, self._lease, term))
            self.duty = duty
            duty.begin()
            log.info("this receiver works now", term=term.number)
            lost = asyncio.create_task(self._lease.lost(term), name="end of the lease")
            failed = asyncio.create_task(duty.failure(), name="work")
            try:
                await asyncio.wait((lost, failed), return_when=asyncio.FIRST_COMPLETED)
                if failed.done() and not lost.done():
                    failed.result()
            finally:
                lost.cancel()
                failed.cancel()
            self.duty = None
            await duty.cut_off()
            log.warning("this receiver does not work any more: its lease was not renewed in time")

    async def _my_turn(self, asking: asyncio.Task[None]) -> Term:
        """Raises what ended the asking before its time."""
        gained = asyncio.create_task(self._lease.gained(), name="turn")
        try:
            await asyncio.wait((gained, asking), return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                asking.result()
            return await gained
        finally:
            gained.cancel()

    async def stop(self) -> None:
        """Finish what is in hand, and let another receiver begin. ``run`` has been cancelled before."""
        if self.duty is not None:
            await self.duty.finish()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
            await self._lease.give_up()

    async def key(self, own: bytes) -> bytes:
        """What all receivers sign with: that of the first one; our own while the database cannot be asked."""
        try:
            return await self.database.run(lambda c: keys.share(c, own))
        except StoreError as error:
            log.warning(
                "links on cards are good here alone until the next start", problem=str(error)
            )
            return own
