"""Notices that the machine's clock was set, by holding it against one that cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from receiver.clock import Clock

JUMP_SECONDS = 5.0
"""A slower drift than this between two looks is the daily work of NTP."""


class ClockWatch:
    """A Pi boots with the time of its last shutdown, and learns the true one minutes later."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._wall: datetime | None = None
        self._steady = 0.0

    def jumped(self) -> float:
        """By how many seconds the clock was set since the last call; 0.0 when it was not."""
        wall, steady = self._clock.now(), self._monotonic()
        before, began = self._wall, self._steady
        self._wall, self._steady = wall, steady
        if before is None:
            return 0.0
        jump = (wall - before).total_seconds() - (steady - began)
        return jump if abs(jump) > JUMP_SECONDS else 0.0
