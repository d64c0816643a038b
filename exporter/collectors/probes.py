"""Whether the application and MinIO answer, asked in the background every HEALTH_CHECK_INTERVAL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import structlog
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from exporter.context import Context
from exporter.exposition import from_metrics
from exporter.scrape import CollectorError, Reading, known
from target.probe import REASONS, ProbeResult, probe

MINIO_CLUSTER_PATH = "/minio/health/cluster"
"""200 with write quorum, else 503 (minio/minio docs/metrics/healthcheck/README.md)."""
LONGEST_PROBE_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass
class Component:
    """One thing that is asked, and what came of it."""

    name: str
    url: str
    last: ProbeResult | None = None
    answered_at: float = 0.0
    """Monotonic; of the last probe's end, or of the beginning of its loop."""
    consecutive_failures: int = 0
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))

    def take(self, result: ProbeResult) -> None:
        if self.last is None or self.last.healthy != result.healthy:
            log.info("probe", component=self.name, healthy=result.healthy, detail=result.detail)
        self.last, self.answered_at = result, time.monotonic()
        if result.reason is None:
            self.consecutive_failures = 0
        else:
            self.consecutive_failures += 1
            self.failures[result.reason] += 1


class ProbesCollector:
    """Asks in the background, so that no scrape waits for what is asked; the first time at once."""

    name = "probes"

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self.components = (
            Component("app", settings.app_url + settings.app_health_path),
            Component("minio", settings.minio_url + settings.minio_health_path),
            Component("minio_cluster", settings.minio_url + MINIO_CLUSTER_PATH),
        )
        self._interval = settings.health_check_interval.total_seconds()
        self._timeout = min(LONGEST_PROBE_SECONDS, self._interval)
        self.began = time.monotonic()

    async def run(self) -> None:
        # Each probe connects anew: a kept connection says nothing about accepting one.
        connector = aiohttp.TCPConnector(force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            asyncio.TaskGroup() as all_,
        ):
            for component in self.components:
                all_.create_task(self._probe_for_ever(session, component))

    async def _probe_for_ever(self, session: aiohttp.ClientSession, component: Component) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            component.take(await probe(session, component.url, self._timeout))
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())

    def begin(self) -> Reading:
        """The last answers. One that is too old is left out and said: its loop is dead or starved."""
        oldest = time.monotonic() - (2 * self._interval + self._timeout)
        stale = [one for one in self.components if max(one.answered_at, self.began) < oldest]
        fresh = [one for one in self.components if one.last is not None and one not in stale]
        samples = from_metrics([*_states(fresh), *_counts(self.components, fresh)])
        if stale:
            names = ", ".join(one.name for one in stale)
            raise CollectorError(f"no probe has ended lately: {names}", samples)
        return known(samples)


def _states(fresh: Sequence[Component]) -> Sequence[Metric]:
    status = GaugeMetricFamily(
        "sermon_uploader_health_status",
        "Whether the component's health endpoint answered 2xx in time (1) or not (0).",
        labels=["component"],
    )
    duration = GaugeMetricFamily(
        "sermon_uploader_probe_duration_seconds",
        "How long the last probe of the component took.",
        labels=["component"],
    )
    up = GaugeMetricFamily(
        "sermon_uploader_up", "Whether the application's health endpoint answered 2xx in time."
    )
    minio = GaugeMetricFamily(
        "sermon_uploader_minio_up", "Whether MinIO's health endpoint answered 2xx in time."
    )
    named = {"app": up, "minio": minio}
    for one in fresh:
        if one.last is None:
            continue
        status.add_metric([one.name], float(one.last.healthy))
        duration.add_metric([one.name], one.last.duration_seconds)
        if one.name in named:
            named[one.name].add_metric([], float(one.last.healthy))
    return [up, status, duration, minio]


def _counts(components: Sequence[Component], fresh: Sequence[Component]) -> Sequence[Metric]:
    failures = CounterMetricFamily(
        "sermon_uploader_probe_failures",
        "Failed probes by component and reason.",
        labels=["component", "reason"],
    )
    consecutive = GaugeMetricFamily(
        "sermon_uploader_consecutive_probe_failures",
        "Probes of the component that failed since the last one that did not.",
        labels=["component"],
    )
    for one in components:
        if one in fresh:
            consecutive.add_metric([one.name], one.consecutive_failures)
        for reason, count in one.failures.items():
            failures.add_metric([one.name, reason], count)
    return [failures, consecutive]
