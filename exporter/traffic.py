"""What the application's log adds up to: requests, errors, times, uploads. Counters live here and outlive containers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from math import fsum
from typing import NamedTuple

from target.access_log import KINDS, Access, Text
from target.routes import OTHER, ROUTES, Route, Upload, route_of

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds. One at exactly the threshold of 5 s, several beyond, up to an upload over a slow line."""
CODES = frozenset(str(status.value) for status in HTTPStatus)
_MOST_OPEN = 1000


class Unit(NamedTuple):
    """A unit of time: what one is in nanoseconds, and BUCKETS in it."""

    nanoseconds: float
    bounds: tuple[float, ...]


def unit(seconds: float, per_second: float) -> Unit:
    """The unit of which ``per_second`` make a second, each of ``seconds``."""
    return Unit(seconds * 1e9, tuple(round(bound * per_second, 9) for bound in BUCKETS))


@dataclass(slots=True)
class Tally:
    """One route's numbers."""

    requests: int = 0
    errors: int = 0
    nanoseconds: int = 0
    """A whole number: a sum of many floats would depend on their order."""
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
        self.tallies: dict[Route, Tally] = {
            route: Tally(codes=dict.fromkeys(_codes(route), 0)) for route in ROUTES
        }
        self._contexts: dict[str, _Context] = {}
        self.lines = dict.fromkeys(KINDS, 0)
        self.uploads = self.upload_failures = self.minio_errors = self.discord_errors = 0

    def forget(self, kept: set[str]) -> None:
        """Drop what is remembered of containers other than ``kept``; counts stay."""
        self._contexts = {key: one for key, one in self._contexts.items() if key in kept}

    def add(self, container_id: str, line: Access | Text) -> None:
        """Count one line of one container's log."""
        if isinstance(line, Access):
            self.lines["access"] += 1
            self._request(line)
        else:
            self.lines[line.kind] += 1
            if line.sign:
                self._sign(self._contexts.setdefault(container_id, _Context()), line.sign)

    def add_requests(
        self, route: Route, status: int, durations: Sequence[float], one: Unit
    ) -> None:
        """Count finished requests of one route and status at once; ``durations`` in ``one``, none negative."""
        count = len(durations)
        tally = self.tallies[route]
        tally.nanoseconds += round(fsum(durations) * one.nanoseconds)
        if durations and max(durations) <= one.bounds[0]:
            tally.buckets[0] += count
        else:
            _fill(tally.buckets, sorted(durations), one.bounds)
        self.lines["access"] += count
        self._count(route, tally, status, count)

    def add_app_lines(self, count: int) -> None:
        """Count messages of the application that give no sign."""
        self.lines["app"] += count

    def _request(self, line: Access) -> None:
        route = route_of(line.method, line.path)
        tally = self.tallies[route]
        tally.nanoseconds += round(line.seconds * 1e9)
        tally.buckets[bisect_left(BUCKETS, line.seconds)] += 1
        self._count(route, tally, line.status, 1)

    def _count(self, route: Route, tally: Tally, status: int, count: int) -> None:
        failed = count if status >= 500 else 0
        code = str(status)
        code = code if code in CODES else OTHER
        tally.requests += count
        tally.errors += failed
        tally.codes[code] = tally.codes.get(code, 0) + count
        if route.upload is Upload.WHOLE or (failed and route.upload is Upload.BEGIN):
            self.uploads += count
            self.upload_failures += failed

    def _sign(self, context: _Context, sign: str) -> None:
        """A failed upload is told twice, first by the service, then by its handler: it counts once."""
        if sign == "discord":
            self.discord_errors += 1
        elif sign == "minio":
            self.minio_errors += 1
        elif sign == "minio_service":
            self.minio_errors += 1
            context.open_service_errors = min(context.open_service_errors + 1, _MOST_OPEN)
        elif sign in ("minio_handler", "batch_minio_handler"):
            if context.open_service_errors:
                context.open_service_errors -= 1
            else:
                self.minio_errors += 1
        if sign in ("batch_minio_handler", "batch_file"):
            context.batch_failed = True
        elif sign == "batch_completed":
            # A batch answers 200 whatever became of its files.
            self.upload_failures += context.batch_failed
            context.batch_failed = False


def _fill(buckets: list[int], ordered: Sequence[float], bounds: Sequence[float]) -> None:
    below = 0
    for place, bound in enumerate(bounds):
        upto = bisect_right(ordered, bound, below)
        buckets[place] += upto - below
        below = upto
        if below == len(ordered):
            return
    buckets[-1] += len(ordered) - below


def _codes(route: Route) -> tuple[str, ...]:
    """Codes that a route is known to answer with."""
    if route.upload is Upload.WHOLE:
        return ("200", "400", "409", "500", "507")
    if route.template == OTHER:
        return ("200", "404", "500")
    return ("200", "500")
