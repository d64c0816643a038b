"""Time comes in from outside, so that tests can hold it in their hands."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """An aware moment in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SteadyClock:
    """Another clock's time, which goes on evenly when that one is set, until it is told to ``advance``.

    So nobody sees a jump in the middle of what they do: what waits for a time is moved first. Whoever
    writes a time takes it inside the transaction: one of before would be an hour off after a move that
    stood in the queue already.
    """

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``monotonic`` counts seconds and cannot be set."""
        self._clock = clock
        self._monotonic = monotonic
        self._anchor = clock.now(), monotonic()

    def now(self) -> datetime:
        moment, ticks = self._anchor
        return moment + timedelta(seconds=self._monotonic() - ticks)

    def ahead(self) -> timedelta:
        """How far the other clock is ahead of this one; negative where it is behind."""
        return self._clock.now() - self.now()

    def advance(self, step: timedelta) -> None:
        """Be ``step`` later from now on, or earlier where it is negative."""
        moment, ticks = self._anchor
        self._anchor = moment + step, ticks
