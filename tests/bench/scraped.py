"""The scraper, with Prometheus' own headers, and what a scrape costs whom it asks."""

from __future__ import annotations

import gzip
import http.client
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.bench.kernel import cpu_seconds

HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1",
    "Accept-Encoding": "gzip",
    "User-Agent": "Prometheus/2.53.3",
    "X-Prometheus-Scrape-Timeout-Seconds": "10",
}
_AFTERWARDS_SECONDS = 0.05
"""What a scrape leaves to be done once it is answered is part of its cost."""


@dataclass
class Scraped:
    """Something with ``/metrics`` at ``address``; ``pids`` are what a scrape makes work."""

    address: str
    pids: Callable[[], Sequence[int]]
    _connection: http.client.HTTPConnection | None = field(default=None, init=False)

    def scrape(self) -> bytes:
        """The exposition. The connection is kept, as Prometheus keeps it."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.address, timeout=30)
        self._connection.request("GET", "/metrics", headers=HEADERS)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.address}: HTTP {answer.status}")
        return body

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def text(self) -> str:
        return gzip.decompress(self.scrape()).decode()

    def cold_seconds(self, scrapes: int, pace_seconds: float) -> float:
        """CPU seconds a scrape, at one scrape in ``pace_seconds``: caches are cold, as in real life."""
        return sum(self._one(pace_seconds) for _ in range(scrapes)) / scrapes

    def hot_seconds(self, scrapes: int) -> float:
        """CPU seconds a scrape, one after the other."""
        pids = self.pids()
        before = cpu_seconds(pids)
        for _ in range(scrapes):
            self.scrape()
        return (cpu_seconds(pids) - before) / scrapes

    def _one(self, pace_seconds: float) -> float:
        pids = self.pids()
        before = cpu_seconds(pids)
        self.scrape()
        time.sleep(_AFTERWARDS_SECONDS)
        spent = cpu_seconds(pids) - before
        time.sleep(max(0.0, pace_seconds - _AFTERWARDS_SECONDS))
        return spent
