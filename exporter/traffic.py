"""What the application's log adds up to: requests, errors, times, uploads. Counters live here and outlive containers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

from exporter.access_log import KINDS, Access, Text
from exporter.routes import OTHER, ROUTES, Route, Upload, route_of

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds. One at exactly the threshold of 5 s, several beyond, up to an upload over a slow line."""
CODES = frozenset(str(status.value) for status in HTTPStatus)
_MOST_OPEN = 1000


@dataclass
class _Tally:
    """One route's numbers."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    codes: dict[str, int] = field(default_factory=dict)


@dataclass
class _Context:
    """What earlier lines of one container say about the next."""

    open_service_errors: int = 0
    batch_failed: bool = False


class Traffic:
    """Adds up parsed lines. Every label set that can be foreseen stands at 0 from the start."""

    def __init__(self) -> None:
        self._tallies: dict[Route, _Tally] = {
            route: _Tally(codes=dict.fromkeys(_codes(route), 0)) for route in ROUTES
        }
        self._contexts: dict[str, _Context] = {}
        self._lines = dict.fromkeys(KINDS, 0)
        self._uploads = self._upload_failures = self._minio_errors = self._discord_errors = 0

    def forget(self, kept: set[str]) -> None:
        """Drop what is remembered of containers other than ``kept``; counts stay."""
        self._contexts = {key: one for key, one in self._contexts.items() if key in kept}

    def add(self, container_id: str, line: Access | Text) -> None:
        """Count one line of one container's log."""
        if isinstance(line, Access):
            self._lines["access"] += 1
            self._request(line)
        else:
            self._lines[line.kind] += 1
            if line.sign:
                self._sign(self._contexts.setdefault(container_id, _Context()), line.sign)

    def _request(self, line: Access) -> None:
        route = route_of(line.method, line.path)
        tally = self._tallies[route]
        failed = line.status >= 500
        code = str(line.status)
        code = code if code in CODES else OTHER
        tally.requests += 1
        tally.errors += failed
        tally.seconds += line.seconds
        tally.buckets[bisect_left(BUCKETS, line.seconds)] += 1
        tally.codes[code] = tally.codes.get(code, 0) + 1
        if route.upload is Upload.WHOLE or (failed and route.upload is Upload.BEGIN):
            self._uploads += 1
            self._upload_failures += failed

    def _sign(self, context: _Context, sign: str) -> None:
        """A failed upload is told twice, first by the service, then by its handler: it counts once."""
        if sign == "discord":
            self._discord_errors += 1
        elif sign == "minio":
            self._minio_errors += 1
        elif sign == "minio_service":
            self._minio_errors += 1
            context.open_service_errors = min(context.open_service_errors + 1, _MOST_OPEN)
        elif sign in ("minio_handler", "batch_minio_handler"):
            if context.open_service_errors:
                context.open_service_errors -= 1
            else:
                self._minio_errors += 1
        if sign in ("batch_minio_handler", "batch_file"):
            context.batch_failed = True
        elif sign == "batch_completed":
            # A batch answers 200 whatever became of its files.
            self._upload_failures += context.batch_failed
            context.batch_failed = False

    def families(self) -> Sequence[Metric]:
        """All of it as metric families."""
        return [*self._request_families(), self._histogram(), *self._other_families()]

    def _request_families(self) -> Sequence[Metric]:
        requests = CounterMetricFamily(
            "sermon_uploader_requests",
            "Finished requests, from the application's access log.",
            labels=["method", "route"],
        )
        errors = CounterMetricFamily(
            "sermon_uploader_errors",
            "Requests answered with 5xx.",
            labels=["method", "route"],
        )
        responses = CounterMetricFamily(
            "sermon_uploader_responses",
            "Finished requests by status code.",
            labels=["method", "route", "code"],
        )
        for route, tally in self._tallies.items():
            labels = [route.method, route.template]
            requests.add_metric(labels, tally.requests)
            errors.add_metric(labels, tally.errors)
            for code, count in tally.codes.items():
                responses.add_metric([*labels, code], count)
        return [requests, errors, responses]

    def _histogram(self) -> Metric:
        durations = HistogramMetricFamily(
            "sermon_uploader_request_duration_seconds",
            "Time the application took for a request; on upload routes it contains the sender's upload.",
            labels=["method", "route"],
        )
        for route, tally in self._tallies.items():
            total, cumulated = 0, []
            for bound, count in zip((*BUCKETS, "+Inf"), tally.buckets, strict=True):
                total += count
                cumulated.append((str(bound), total))
            durations.add_metric([route.method, route.template], cumulated, tally.seconds)
        return durations

    def _other_families(self) -> Sequence[Metric]:
        lines = CounterMetricFamily(
            "sermon_uploader_log_lines",
            "Lines of the application's log by what they are.",
            labels=["kind"],
        )
        for kind, count in self._lines.items():
            lines.add_metric([kind], count)
        plain = (
            ("sermon_uploader_uploads", "Finished upload attempts.", self._uploads),
            (
                "sermon_uploader_upload_failures",
                "Upload attempts that the service failed: 5xx, or a batch with a file it could not store.",
                self._upload_failures,
            ),
            (
                "sermon_uploader_minio_connection_errors",
                "Failed MinIO operations that the application logged.",
                self._minio_errors,
            ),
            (
                "sermon_uploader_discord_notification_errors",
                "Failed Discord notifications that the application logged.",
                self._discord_errors,
            ),
        )
        return [lines, *(CounterMetricFamily(name, text, value) for name, text, value in plain)]


def _codes(route: Route) -> tuple[str, ...]:
    """Codes that a route is known to answer with."""
    if route.upload is Upload.WHOLE:
        return ("200", "400", "409", "500", "507")
    if route.template == OTHER:
        return ("200", "404", "500")
    return ("200", "500")
