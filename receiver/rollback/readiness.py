"""Whether a rollback could be begun, known before one is needed: looked at again and again, told as metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from receiver.clock import Clock
from receiver.rollback.route import Router

log = structlog.get_logger("readiness")
AGAIN = timedelta(minutes=5)
"""The pause while something is to be mended: whoever mends it sees soon that it worked."""


class RollbackReady(Collector):
    """No sample where no way is set up to be taken without asking, and none before the first look."""

    def __init__(self, router: Router, every: timedelta, clock: Clock) -> None:
        self._router = router
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
        words = "; ".join([*await self._github(now), *await self._local()])
        if words and words != self._said:
            log.warning(
                "a rollback could not be relied upon; sermon-monitor check says more", problem=words
            )
        elif self._said and not words:
            log.info("a rollback could be begun again")
        self._said = words
        return min(AGAIN, self._every) if words else self._every

    async def _github(self, now: datetime) -> list[str]:
        if self._router.preflight is None:
            return []
        readiness = await self._router.preflight.look(now)
        return [one.words for one in readiness.shortcomings(now)]

    async def _local(self) -> list[str]:
        """Only where this machine is to do it by itself: whom a person must allow it anyway, a person looks after."""
        if self._router.mode != "auto":
            return []
        words = (await self._router.obstacle()).words
        return [f"this machine could not do it: {words}"] if words else []

    def collect(self) -> Iterable[Metric]:
        if self._said is not None:
            ready = GaugeMetricFamily(
                "sermon_monitor_rollback_ready",
                "Whether a rollback could be begun by every way that is set up, at the last look.",
            )
            ready.add_metric([], 0.0 if self._said else 1.0)
            yield ready
        preflight = self._router.preflight
        if preflight is not None and (ends := preflight.token_expires):
            expires = GaugeMetricFamily(
                "sermon_monitor_github_token_expires_timestamp_seconds",
                "When GITHUB_TOKEN ends: by GITHUB_TOKEN_EXPIRES, else as GitHub says.",
            )
            expires.add_metric([], ends.timestamp())
            yield expires
