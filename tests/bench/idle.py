"""What the process does while nobody asks: CPU and wake-ups between scrapes, its probes included."""

from __future__ import annotations

import time

from psutil import Process

from tests.bench import report
from tests.bench.kernel import cpu_seconds, wakeups
from tests.bench.report import Figure, Tell
from tests.bench.watched import Watched

SECONDS_A_STEP, STEPS = 20.0, 3
SETTLED = 75.0
"""Seconds after which what a start leaves to do is done: the store's first look at itself and its first copy."""


def measure(watched: Watched, _rounds: int, tell: Tell) -> list[Figure]:
    pids = watched.pids
    while (left := SETTLED - min(time.time() - Process(pid).create_time() for pid in pids)) > 0:
        tell(f"what the start left to do: {left:.0f} s")
        time.sleep(min(left, SECONDS_A_STEP))
    woken, spent, since = sum(map(wakeups, pids)), cpu_seconds(pids), time.monotonic()
    for step in range(1, STEPS + 1):
        tell(f"nobody scrapes {watched.count} containers, {step} of {STEPS}")
        time.sleep(SECONDS_A_STEP)
    seconds = time.monotonic() - since
    share = (cpu_seconds(pids) - spent) / seconds * 100
    beats = (sum(map(wakeups, pids)) - woken) / seconds
    return [
        report.alone(f"between scrapes, {watched.count} containers", "% of a core", share, 0.1),
        report.alone(f"between scrapes, {watched.count} containers", "wake-ups a second", beats),
    ]
