"""``make soak``: a little of everything for long; does anything grow?

A straight line is fitted to each figure over time. It grows where the line's slope is above zero by more
than its uncertainty (95 %), and by more than would matter in a day.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean, quantiles

from tests.bench.kernel import anonymous_mib
from tests.fire import load
from tests.fire.flood import burning
from tests.fire.load import Seen, for_seconds
from tests.real.product import Product

STEP_SECONDS = 10.0
WARM_UP = 0.25
"""Of the time: caches fill, and are no leak."""
MATTERS = {"memory, MiB": 8.0, "descriptors": 4.0, "threads": 1.0, "p99 of a scrape, ms": 50.0}
"""In an hour."""


@dataclass(frozen=True)
class Slope:
    """An hour's growth and its uncertainty (95 %)."""

    hourly: float
    margin: float

    def grows(self, matters: float) -> bool:
        return self.hourly - self.margin > 0 and self.hourly > matters


def fit(times: Sequence[float], values: Sequence[float]) -> Slope:
    """Least squares over seconds; the interval by the normal distribution, for many points."""
    middle, level = mean(times), mean(values)
    spread = sum((t - middle) ** 2 for t in times)
    slope = sum((t - middle) * (v - level) for t, v in zip(times, values, strict=True)) / spread
    left = sum((v - level - slope * (t - middle)) ** 2 for t, v in zip(times, values, strict=True))
    error = math.sqrt(left / max(1, len(times) - 2) / spread)
    return Slope(slope * 3600, 1.96 * error * 3600)


@dataclass
class Soaked:
    """Figures by name, a point each step; ``seen`` is of all the time."""

    seconds: float
    times: list[float] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MATTERS})
    seen: Seen = field(default_factory=Seen)

    def slopes(self) -> dict[str, Slope]:
        first = next((n for n, t in enumerate(self.times) if t >= WARM_UP * self.seconds), 0)
        return {name: fit(self.times[first:], values[first:]) for name, values in self.figures.items()}  # fmt: skip

    def problems(self) -> list[str]:
        grown = [f"{name} grows by {slope.hourly:.2f} an hour" for name, slope in self.slopes().items() if slope.grows(MATTERS[name])]  # fmt: skip
        return [*grown, *self.seen.late[:5]]

    def lines(self) -> Iterator[str]:
        yield f"{self.seconds:.0f} s; answers: {dict(sorted(self.seen.answers.items()))}"
        for name, slope in self.slopes().items():
            values = self.figures[name]
            yield f"{name}: {values[0]:.1f} at first, {values[-1]:.1f} at last; slope {slope.hourly:+.2f} ± {slope.margin:.2f} an hour"


def soak(directory: Path, seconds: float, tell: Callable[[str], None]) -> Soaked:
    with burning(directory, 2000, churn=5.0) as product:
        return asyncio.run(_soak(product, seconds, tell))


async def _soak(product: Product, seconds: float, tell: Callable[[str], None]) -> Soaked:
    assert product.process is not None
    # The same alerts again and again: new ones that never end would grow by themselves.
    pid, soaked, numbers = product.process.pid, Soaked(seconds), itertools.cycle(range(200))
    exporter = f"http://{product.metrics_address}"
    address = itertools.cycle((product.metrics_address, product.environment["RECEIVER_LISTEN"]))
    slow = [(seed, next(address)) for seed in range(20)]

    async def measure() -> None:
        began = told = time.monotonic()
        while True:
            await asyncio.sleep(STEP_SECONDS)
            now = time.monotonic()
            _point(soaked, pid, now - began)
            if now - told > 60:
                told = now
                tell(", ".join(f"{name} {values[-1]:.1f}" for name, values in soaked.figures.items()))  # fmt: skip

    await for_seconds(
        seconds,
        lambda: load.webhooks(product.url, 2.0, numbers, soaked.seen),
        lambda: load.scrapes(exporter, 2.0, soaked.seen),
        lambda: load.look(exporter, product.url, 0.2, soaked.seen),
        measure,
        *(partial(load.slow, at, seed) for seed, at in slow),
    )
    return soaked


def _point(soaked: Soaked, pid: int, moment: float) -> None:
    """The looks since the last point make its p99."""
    recent = soaked.seen.metrics
    p99 = quantiles(recent, n=100)[98] * 1000 if len(recent) > 1 else 0.0
    recent.clear()
    soaked.seen.healthz.clear()
    soaked.times.append(moment)
    values = (
        anonymous_mib([pid]),
        float(len(os.listdir(f"/proc/{pid}/fd"))),  # noqa: PTH208 - one descriptor less
        float(len(list(Path(f"/proc/{pid}/task").iterdir()))),
        p99,
    )
    for name, value in zip(MATTERS, values, strict=True):
        soaked.figures[name].append(value)
