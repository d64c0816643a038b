"""Keeps to the rate limit that a destination announces in its headers (Discord's names)."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping

from receiver.telling.delivery import DeliveryError

LONGEST_WAIT_SECONDS = 5.0
"""Longer than this nobody waits in here: the caller is told when to come again."""
_DAY = 86400.0


def number(value: float | str | None) -> float:
    """Seconds from a header or a body, from 0 to a day; 0 for what is absent or not a number."""
    try:
        seconds = float(value) if value is not None else 0.0
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), _DAY) if math.isfinite(seconds) else 0.0


def asked_wait(headers: Mapping[str, str]) -> float:
    """How many seconds the headers ask to wait; 0 where they do not."""
    waits = [number(headers.get("Retry-After"))]
    if headers.get("X-RateLimit-Remaining", "0").strip() == "0":
        waits.append(number(headers.get("X-RateLimit-Reset-After")))
    return max(waits)


class Limiter:
    """One sequential sender's patience; ``clock`` counts seconds, ``sleep`` waits for some."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._free_at = -math.inf

    def learn(self, headers: Mapping[str, str]) -> None:
        """Take the announced limit of an answer into account for the next request."""
        if "X-RateLimit-Remaining" in headers:
            self.block(asked_wait(headers))

    def block(self, seconds: float) -> None:
        """Send nothing for ``seconds`` from now."""
        self._free_at = max(self._free_at, self._clock() + seconds)

    async def wait(self) -> None:
        """Until a request may go out. Raises DeliveryError when that takes more than 5 seconds."""
        left = self._free_at - self._clock()
        if left > LONGEST_WAIT_SECONDS:
            raise DeliveryError(f"waiting out a rate limit: {left:.0f} s left", retry_after=left)
        if left > 0:
            await self._sleep(left)
