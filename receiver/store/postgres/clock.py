"""The database's clock: the one that all receivers share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from receiver.clock import SteadyClock


class ServerClock(SteadyClock):
    """The server's time as last asked for, going on evenly. Nothing is to be moved when the machine's own is set."""

    def follow(self, moment: float, asked: float) -> None:
        """``moment``: seconds since 1970 by the server; ``asked``: our ticks before it was asked."""
        middle = (asked + self.ticks()) / 2
        self._anchor = datetime.fromtimestamp(moment, UTC), middle

    def ticks(self) -> float:
        return self._monotonic()

    def ahead(self) -> timedelta:
        return timedelta(0)
