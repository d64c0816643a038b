"""The database's clock: the one that all receivers share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from receiver.clock import SteadyClock

PRECISE_SECONDS = 0.25
"""An answer that took longer says little of what time it is now."""


class ServerClock(SteadyClock):
    """The server's time as last asked for, going on evenly. Nothing is to be moved when the machine's own is set."""

    _follows = False

    def follow(self, moment: float, asked: float) -> None:
        """``moment``: seconds since 1970 by the server; ``asked``: our ticks before it was asked."""
        took = self.ticks() - asked
        if took <= PRECISE_SECONDS or not self._follows:
            self._anchor = datetime.fromtimestamp(moment, UTC), asked + took / 2
            self._follows = True

    def ticks(self) -> float:
        return self._monotonic()

    def ahead(self) -> timedelta:
        return timedelta(0)
