"""The look at the deployment that a page needs: shared by all who look on, and never waited for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from receiver.board.looking import Sight
from receiver.deciding.gates import Confirmation

FRESH_SECONDS = 5.0
"""However many people look on, the deployment is asked no more often."""
PATIENCE_SECONDS = 2.0
"""A page that says when it last could look is better at night than one that does not come."""


class Glance:
    """``look`` asks; one at a time."""

    def __init__(self, look: Callable[[], Awaitable[Sight]]) -> None:
        self._look = look
        self._asking: asyncio.Task[None] | None = None
        self._last: Sight | None = None
        self._looked_at = float("-inf")

    async def sight(self) -> Sight:
        """The newest look; where asking takes long, the one before, or that nothing is known yet."""
        if time.monotonic() - self._looked_at > FRESH_SECONDS:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._ask(), name="look at the deployment")
            await asyncio.wait({self._asking}, timeout=PATIENCE_SECONDS)
            if self._asking.done():
                self._asking.result()
        if self._last is None:
            waiting = Confirmation(None, "has not answered yet; it is being asked")
            return Sight(waiting, waiting)
        return self._last

    async def _ask(self) -> None:
        self._last = await self._look()
        self._looked_at = time.monotonic()

    async def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
