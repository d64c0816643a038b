"""Memory of the whole process, exporter and receiver in one, once it has worked for a while."""

from __future__ import annotations

from tests.bench import report
from tests.bench.kernel import pss_mib, resident_mib
from tests.bench.report import Figure, Tell
from tests.bench.watched import Watched
from tests.bench.webhooks import body

SCRAPES, WEBHOOKS, STEPS = 240, 60, 4
"""As many scrapes as Prometheus makes in an hour, and more webhooks."""
_LIMITS = {10: 70.0, 200: 80.0}


def measure(watched: Watched, _rounds: int, tell: Tell) -> list[Figure]:
    for step in range(STEPS):
        tell(f"memory with {watched.count} containers, {step + 1} of {STEPS}")
        for _ in range(SCRAPES // STEPS):
            watched.ours.scrape()
            watched.peer.scrape()
        for number in range(WEBHOOKS // STEPS):
            status, words = watched.product.post(body(step * WEBHOOKS + number, 1))
            if status != 200:
                raise RuntimeError(f"HTTP {status}: {words.decode()}")
    mine, peer, count = pss_mib(watched.pids), pss_mib(watched.peer.pids()), watched.count
    alone = resident_mib(watched.pids)
    limit = _LIMITS.get(count)
    return [
        report.alone(f"memory (PSS), {count} containers", "MiB", mine, limit),
        report.alone(f"memory, nothing shared (RSS), {count} containers", "MiB", alone, limit),
        report.alone(f"node_exporter beside it (PSS), {count} containers", "MiB", peer),
    ]
