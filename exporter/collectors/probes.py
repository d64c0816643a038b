"""Whether the application and MinIO answer, asked in the background every HEALTH_CHECK_INTERVAL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

import structlog

from exporter.context import Context
from exporter.exposition import Family, Samples, number
from exporter.scrape import CollectorError, Reading, known
from target.probe import PHASES, REASONS, ProbeResult, new_resolver, probe

MINIO_CLUSTER_PATH = "/minio/health/cluster"
"""200 with write quorum, else 503 (minio/minio docs/metrics/healthcheck/README.md)."""
LONGEST_PROBE_SECONDS = 10.0

_UP = Family(
    "sermon_uploader_up", "gauge", "Whether the application's health endpoint answered 2xx in time."
)
_MINIO_UP = Family(
    "sermon_uploader_minio_up", "gauge", "Whether MinIO's health endpoint answered 2xx in time."
)
_STATUS = Family(
    "sermon_uploader_health_status",
    "gauge",
    "Whether the component's health endpoint answered 2xx in time (1) or not (0).",
)
_DURATION = Family(
    "sermon_uploader_probe_duration_seconds",
    "gauge",
    "How long the last probe of the component took.",
)
_PHASE = Family(
    "sermon_uploader_probe_phase_duration_seconds",
    "gauge",
    "How long each phase of the last probe took; absent for one that it did not have or reach.",
)
_CODE = Family(
    "sermon_uploader_probe_http_status_code",
    "gauge",
    "HTTP status of the last probe's answer; 0 when there was none.",
)
_EXPIRY = Family(
    "sermon_uploader_probe_certificate_expiry_timestamp_seconds",
    "gauge",
    "Unix time at which the component's own certificate ends, accepted or not; absent without https.",
)
_CONSECUTIVE = Family(
    "sermon_uploader_consecutive_probe_failures",
    "gauge",
    "Probes of the component that failed since the last one that did not.",
)
_FAILURES = Family(
    "sermon_uploader_probe_failures_total", "counter", "Failed probes by component and reason."
)
_OF_THE_LAST = (_UP, _STATUS, _MINIO_UP, _DURATION, _PHASE, _CODE, _EXPIRY, _CONSECUTIVE)
_NAMED = {"app": _UP, "minio": _MINIO_UP}

log = structlog.get_logger(__name__)


class Component:
    """One thing that is asked, and what came of it, as it stands in the exposition."""

    def __init__(self, name: str, url: str, expected_body: str = "") -> None:
        self.name = name
        self.url = url
        self.expected_body = expected_body
        self.resolver = new_resolver()
        self.last: ProbeResult | None = None
        self.answered_at = 0.0
        """Monotonic; of the last probe's end."""
        self.consecutive_failures = 0
        self.failures = dict.fromkeys(REASONS, 0)
        self.lines: dict[Family, bytes] = {}
        """Of the last probe, by family."""
        self._series = {
            family: family.series(component=name) for family in _OF_THE_LAST if family is not _PHASE
        }
        self._series |= {family: family.series() for family in (_UP, _MINIO_UP)}
        self._phases = {one: _PHASE.series(component=name, phase=one) for one in PHASES}
        self._reasons = {one: _FAILURES.series(component=name, reason=one) for one in REASONS}
        self.failure_lines = self._count()

    def take(self, result: ProbeResult) -> None:
        if self.last is None or (self.last.reason, self.last.status) != (
            result.reason,
            result.status,
        ):
            log.info("probe", component=self.name, healthy=result.healthy, detail=result.detail)
        self.last, self.answered_at = result, time.monotonic()
        if result.reason is None:
            self.consecutive_failures = 0
        else:
            self.consecutive_failures += 1
            self.failures[result.reason] += 1
            self.failure_lines = self._count()
        self.lines = self._render(result)

    def _count(self) -> bytes:
        return _lines((self._reasons[one], count) for one, count in self.failures.items())

    def _render(self, result: ProbeResult) -> dict[Family, bytes]:
        values = {
            _STATUS: int(result.healthy),
            _DURATION: result.duration_seconds,
            _CODE: result.status or 0,
            _CONSECUTIVE: self.consecutive_failures,
        }
        if self.name in _NAMED:
            values[_NAMED[self.name]] = int(result.healthy)
        if result.certificate_expiry is not None:
            values[_EXPIRY] = result.certificate_expiry
        lines = {
            family: _lines([(self._series[family], value)]) for family, value in values.items()
        }
        lines[_PHASE] = _lines((self._phases[one], took) for one, took in result.phases.items())
        return lines


class ProbesCollector:
    """Asks in the background, so that no scrape waits for what is asked; the first time at once."""

    name = "probes"

    def __init__(self, context: Context) -> None:
        settings = context.settings
        app = settings.app_url + settings.app_health_path
        minio = settings.minio_url + settings.minio_health_path
        self.components = (
            Component("app", app, settings.app_health_body),
            Component("minio", minio, settings.minio_health_body),
            Component("minio_cluster", settings.minio_url + MINIO_CLUSTER_PATH),
        )
        self._interval = settings.health_check_interval.total_seconds()
        self._timeout = min(LONGEST_PROBE_SECONDS, self._interval)
        self.began = time.monotonic()
        self._made_of: list[float] = []
        """When the probes ended whose lines ``_samples`` are: a scrape between two probes writes none anew."""
        self._samples = self._render(())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as all_:
            for component in self.components:
                all_.create_task(self._probe_for_ever(component))

    async def _probe_for_ever(self, component: Component) -> None:
        """One after the other: a probe ends at its deadline, and none begins beside another."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            component.take(
                await probe(
                    component.url,
                    self._timeout,
                    expected_body=component.expected_body,
                    resolver=component.resolver,
                )
            )
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())

    def begin(self) -> Reading:
        """The last answers. One that is too old is left out and said: its loop is dead or starved."""
        oldest = time.monotonic() - (2 * self._interval + self._timeout)
        stale = [one for one in self.components if max(one.answered_at, self.began) < oldest]
        fresh = [one for one in self.components if one not in stale]
        if (made_of := [one.answered_at for one in fresh]) != self._made_of:
            self._made_of, self._samples = made_of, self._render(fresh)
        samples = self._samples
        if stale:
            names = ", ".join(one.name for one in stale)
            raise CollectorError(f"no probe has ended lately: {names}", samples)
        return known(samples)

    def _render(self, fresh: Sequence[Component]) -> list[Samples]:
        told = [
            Samples(family, b"".join(one.lines.get(family, b"") for one in fresh))
            for family in _OF_THE_LAST
        ]
        failures = b"".join(one.failure_lines for one in self.components)
        return [*told, Samples(_FAILURES, failures)]


def _lines(values: Iterable[tuple[bytes, float]]) -> bytes:
    return b"".join(series + number(value) + b"\n" for series, value in values)
