"""Whether a rollback could be begun, known before one is needed: looked at again and again, told as metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from receiver.clock import Clock
from receiver.github.preflight import Preflight

log = structlog.get_logger("readiness")
AGAIN = timedelta(minutes=5)
"""The pause while something is to be mended: whoever mends it sees soon that it worked."""


class RollbackReady(Collector):
    """No sample where GitHub is not configured, and none before the first look."""

    def __init__(self, preflight: Preflight, every: timedelta, clock: Clock) -> None:
        self._preflight = preflight
        self._every = every
        self._clock = clock
        self._said: str | None = None

    async def run(self) -> None:
        while True:
            pause = min(AGAIN, self._every)
            try:
                pause = await self.look()
            except Exception:  # a fault of ours here must not stop what else the receiver does
                log.exception("our own fault; looking again")
            await asyncio.sleep(pause.total_seconds())

    async def look(self) -> timedelta:
        """One look. Returns how long it is believed."""
        now = self._clock.now()
        found = (await self._preflight.look(now)).shortcomings(now)
        words = "; ".join(one.words for one in found)
        if words and words != self._said:
            mend = "; ".join(dict.fromkeys(one.mend for one in found if one.mend))
            log.warning("a rollback could not be relied upon", problem=words, mend=mend)
        elif self._said and not words:
            log.info("a rollback could be begun again")
        self._said = words
        return min(AGAIN, self._every) if words else self._every

    def collect(self) -> Iterable[Metric]:
        if self._said is not None:
            ready = GaugeMetricFamily(
                "sermon_monitor_rollback_ready",
                "Whether a rollback could be begun on GitHub, at the last look; absent without GITHUB_TOKEN.",
            )
            ready.add_metric([], 0.0 if self._said else 1.0)
            yield ready
        if ends := self._preflight.token_expires:
            expires = GaugeMetricFamily(
                "sermon_monitor_github_token_expires_timestamp_seconds",
                "When GITHUB_TOKEN ends: by GITHUB_TOKEN_EXPIRES, else as GitHub says.",
            )
            expires.add_metric([], ends.timestamp())
            yield expires
