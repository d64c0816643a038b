"""Whether the receiver does what it is for: its store takes a write, and its tasks run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from receiver.clock import Clock
from receiver.store import messages
from receiver.store.database import Database, StoreError


class Readiness:
    """``unready`` says why work is not being done."""

    def __init__(self, database: Database, clock: Clock, unready: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._unready = unready
        self._proof: asyncio.Task[str] | None = None

    async def words(self) -> str:
        """Why not, in words; empty when it is ready."""
        return self._unready() or await self._unwritable()

    async def _unwritable(self) -> str:
        """One write for all who ask meanwhile: to ask often costs the disk nothing."""
        if self._proof is None or self._proof.done():
            self._proof = asyncio.create_task(self._prove(), name="readiness")
        return await asyncio.shield(self._proof)

    async def _prove(self) -> str:
        try:
            await self._database.run(lambda c: messages.prove_writable(c, self._clock.now()))
        except StoreError as error:
            return str(error)
        return ""
