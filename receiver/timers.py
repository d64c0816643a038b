"""Keeps what is to come in two minutes two minutes away when the machine's clock is set.

A Pi has no clock of its own: it starts with the time at which it was last seen and jumps when the
network answers. Without this a ladder would be run through in one go, or stand still for an hour.
"""

from __future__ import annotations

from datetime import timedelta
from sqlite3 import Connection

import structlog

from receiver.clock import SteadyClock
from receiver.store import messages, timers
from receiver.store.database import Database
from target.durations import format_duration

log = structlog.get_logger("timers")
REMEMBERED = timedelta(days=1)
"""Budgets look back so far."""
TOLERANCE = timedelta(seconds=2)
"""Less than this is no jump: clocks are also slewed, and this process may be held up."""


class Timers:
    """Notices that the clock was set: while we run, and back while we did not."""

    def __init__(self, database: Database, clock: SteadyClock) -> None:
        self._database = database
        self._clock = clock
        self._looked = False

    async def keep(self) -> bool:
        """Move what waits if the clock was set, and follow it. Whether it was. Raises StoreError."""
        moved = False
        if not self._looked:
            moved = await self._moved(await self._behind(), own=False)
            self._looked = True
        step = self._clock.ahead()
        if abs(step) < TOLERANCE:
            self._clock.advance(step)
            return moved
        return await self._moved(step, own=True) or moved

    async def _behind(self) -> timedelta:
        """A clock that is behind our own newest record was set back while we did not run.

        One that is ahead tells nothing: we may have been away for so long.
        """
        newest = await self._database.run(timers.last_record)
        return min(self._clock.now() - newest, timedelta(0)) if newest else timedelta(0)

    async def _moved(self, step: timedelta, *, own: bool) -> bool:
        """``own``: our own clock goes with it; it has seen nothing of a step before our start."""
        if abs(step) < TOLERANCE:
            return False

        def change(c: Connection) -> None:
            if own:  # in here, so that no time of before is written after this
                self._clock.advance(step)
            moved = timers.move(c, step, self._clock.now() - step - REMEMBERED)
            now = self._clock.now()
            words = f"{_words(step)}; what waits moves with it"
            messages.add_event(c, None, "clock set", words, now)
            for incident_id in moved:
                messages.touch_cards(c, incident_id, now)

        await self._database.run(change)
        log.warning("the clock was set; what waits moves with it", by=_words(step))
        return True


def _words(step: timedelta) -> str:
    way = "ahead" if step > timedelta(0) else "back"
    return f"{format_duration(timedelta(seconds=round(abs(step).total_seconds())))} {way}"
