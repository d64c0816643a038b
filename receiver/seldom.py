"""What may happen a thousand times a second stands in the log once in a while, with how often it was."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_SECONDS = 10.0


class Seldom:
    """``due`` says whether to write it now, and how often it happened without being written."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, int]] = {}

    def due(self, what: str) -> int | None:
        """How often ``what`` was kept back since the last time; None: keep it back."""
        now = self._monotonic()
        since, count = self._kept.get(what, (float("-inf"), 0))
        if now - since < EVERY_SECONDS:
            self._kept[what] = since, count + 1
            return None
        self._kept[what] = now, 0
        return count
