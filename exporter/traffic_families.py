"""The traffic as an exposition: what a route's lines were is kept, and written anew only when its numbers changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from exporter.exposition import Family, Samples, number, series
from exporter.traffic import BUCKETS, Tally, Traffic
from target.routes import Route

REQUESTS = Family(
    "sermon_uploader_requests_total",
    "counter",
    "Finished requests, from the application's access log.",
)
ERRORS = Family("sermon_uploader_errors_total", "counter", "Requests answered with 5xx.")
RESPONSES = Family(
    "sermon_uploader_responses_total", "counter", "Finished requests by status code."
)
DURATIONS = Family(
    "sermon_uploader_request_duration_seconds",
    "histogram",
    "Time the application took for a request; on upload routes it contains the sender's upload.",
)
LINES = Family(
    "sermon_uploader_log_lines_total",
    "counter",
    "Lines of the application's log by what they are.",
)
UPLOADS = Family("sermon_uploader_uploads_total", "counter", "Finished upload attempts.")
UPLOAD_FAILURES = Family(
    "sermon_uploader_upload_failures_total",
    "counter",
    "Upload attempts that the service failed: 5xx, or a batch with a file it could not store.",
)
MINIO_ERRORS = Family(
    "sermon_uploader_minio_connection_errors_total",
    "counter",
    "Failed MinIO operations that the application logged.",
)
DISCORD_ERRORS = Family(
    "sermon_uploader_discord_notification_errors_total",
    "counter",
    "Failed Discord notifications that the application logged.",
)
_BY_ROUTE = (REQUESTS, ERRORS, RESPONSES, DURATIONS)
_BOUNDS = (*(str(bound) for bound in BUCKETS), "+Inf")


class _Lines(NamedTuple):
    """One route's sample lines, in the order of _BY_ROUTE."""

    requests: bytes
    errors: bytes
    responses: bytes
    durations: bytes


class _RouteLines:
    """One route's series, named once; its lines are as old as its number of requests."""

    def __init__(self, route: Route) -> None:
        self._labels = {"method": route.method, "route": route.template}
        self._requests = REQUESTS.series(**self._labels)
        self._errors = ERRORS.series(**self._labels)
        self._codes: dict[str, bytes] = {}
        name = DURATIONS.name
        self._buckets = [series(f"{name}_bucket", {**self._labels, "le": le}) for le in _BOUNDS]
        self._count = series(f"{name}_count", self._labels)
        self._sum = series(f"{name}_sum", self._labels)
        self._told = -1
        self._lines = _Lines(b"", b"", b"", b"")

    def lines(self, tally: Tally) -> _Lines:
        if tally.requests != self._told:
            self._told = tally.requests
            self._lines = _Lines(
                b"%b%d\n" % (self._requests, tally.requests),
                b"%b%d\n" % (self._errors, tally.errors),
                b"".join(
                    b"%b%d\n" % (self._code(code), count) for code, count in tally.codes.items()
                ),
                self._histogram(tally),
            )
        return self._lines

    def _code(self, code: str) -> bytes:
        kept = self._codes.get(code)
        if kept is None:
            kept = self._codes[code] = RESPONSES.series(**self._labels, code=code)
        return kept

    def _histogram(self, tally: Tally) -> bytes:
        lines, total = [], 0
        for head, count in zip(self._buckets, tally.buckets, strict=True):
            total += count
            lines.append(b"%b%d\n" % (head, total))
        lines.append(b"%b%d\n" % (self._count, total))
        lines.append(b"%b%b\n" % (self._sum, number(tally.nanoseconds / 1e9)))
        return b"".join(lines)


class TrafficFamilies:
    """Writes the families of one Traffic."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._routes = [(_RouteLines(route), tally) for route, tally in traffic.tallies.items()]
        self._kinds = {kind: LINES.series(kind=kind) for kind in traffic.lines}
        self._told = -1
        self._by_route: Sequence[Samples] = ()

    def samples(self) -> list[Samples]:
        """All of it as it is now."""
        traffic = self._traffic
        if traffic.lines["access"] != self._told:
            self._told = traffic.lines["access"]
            columns = zip(*(route.lines(tally) for route, tally in self._routes), strict=True)
            self._by_route = [
                Samples(family, b"".join(column))
                for family, column in zip(_BY_ROUTE, columns, strict=True)
            ]
        kinds = b"".join(b"%b%d\n" % (self._kinds[k], n) for k, n in traffic.lines.items())
        return [
            *self._by_route,
            Samples(LINES, kinds),
            UPLOADS.one(traffic.uploads),
            UPLOAD_FAILURES.one(traffic.upload_failures),
            MINIO_ERRORS.one(traffic.minio_errors),
            DISCORD_ERRORS.one(traffic.discord_errors),
        ]
