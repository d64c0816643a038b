"""A whole scrape: containers, host, application, ourselves and HTTP; the Engine's work included."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from tests.bench import report
from tests.bench.report import Figure, Tell
from tests.bench.watched import Watched, series_a_container

PACE_SECONDS = 0.5
"""Ours and the peer in turn, so each is scraped once a second."""
COLD_SCRAPES, HOT_SCRAPES = 8, 40
_LIMITS = {10: 1.25, 50: 3.0, 200: 8.0}
_PEER = "node_exporter, same host areas"


class Scrapes:
    """Remembers what was measured at each size, for the slope."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def measure(self, watched: Watched, rounds: int, tell: Tell) -> list[Figure]:
        count = watched.count
        found = [
            report.alone("series a container", "series", series_a_container(watched.ours.text()))
        ]
        for way in ("cold", "hot"):
            ours, node = [], []
            for number in range(1, rounds + 1):
                tell(f"scrapes of {count} containers, {way}, round {number} of {rounds}")
                mine, peers = _round(watched, way)
                ours.append(mine * 1e3)
                node.append(peers * 1e3)
            what = f"whole scrape, {count} containers, {way}"
            found.append(report.paired(what, "CPU ms", ours, node, _PEER, _LIMITS.get(count)))
            if way == "cold":
                self._seconds[count] = median(ours)
        return found

    def slopes(self) -> list[Figure]:
        """How much a container costs between two sizes, against what it costs between the two before."""
        sizes = sorted(self._seconds)
        slopes = [
            ((self._seconds[b] - self._seconds[a]) / (b - a) * 1e3, f"{a} to {b}")
            for a, b in pairwise(sizes)
        ]
        return [
            Figure(
                f"one more container, {name}",
                "CPU µs a scrape",
                slope,
                before,
                f"{earlier}",
                slope / before,
                1.2,
            )
            for (before, earlier), (slope, name) in pairwise(slopes)
        ]


def _round(watched: Watched, way: str) -> Sequence[float]:
    pair = (watched.both, watched.peer)
    if way == "hot":
        return [one.hot_seconds(HOT_SCRAPES) for one in pair]
    sums = [0.0, 0.0]
    for _ in range(COLD_SCRAPES):
        for index, one in enumerate(pair):
            sums[index] += one.cold_seconds(1, PACE_SECONDS)
    return [spent / COLD_SCRAPES for spent in sums]
