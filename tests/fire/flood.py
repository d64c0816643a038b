"""``make flood``: everything at once for a minute, twice as much as can be taken."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles

from tests.bench.kernel import pss_mib
from tests.fire import load
from tests.fire.engine import NAME
from tests.fire.load import Seen, for_seconds
from tests.real.processes import free_port, spawn, wait_for
from tests.real.product import Product

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How much, a second where it is a rate. ``webhooks``: twice what `make bench` once sustained here."""

    seconds: float = 60.0
    sustained_seconds: float = 5.0
    webhooks: float = 764.0
    slow: int = 1000
    scrapes: float = 200.0
    lines: int = 100_000
    calm_seconds: float = 20.0


@dataclass
class Outcome:
    """``missing``: answered 200 and not in the store. Memory in MiB (PSS)."""

    seen: Seen
    sustained: float
    missing: int
    idle: float
    worst: float
    after: float
    lines_read: float

    def problems(self) -> list[str]:
        """What must not be; empty where all is well."""
        found = [f"answered {what}, {count} times" for what, count in self.seen.answers.items() if what not in ("200", "503", "scrape 200", "scrape 503")]  # fmt: skip
        found += self.seen.late[:5]
        if not self.seen.kept:
            found.append("nothing was taken at all")
        if self.missing:
            found.append(f"{self.missing} answered 200 are not in the store")
        if self.worst > 2 * self.idle:
            found.append(f"memory: {self.worst:.0f} MiB, idle {self.idle:.0f}")
        if self.after > 1.35 * self.idle:
            found.append(f"memory does not come back: {self.after:.0f} MiB, idle {self.idle:.0f}")
        return found

    def lines(self) -> Iterator[str]:
        yield f"webhooks a second one after the other before, on 16 connections: {self.sustained:.0f}"
        yield "answers: " + ", ".join(f"{what}: {count}" for what, count in sorted(self.seen.answers.items()))  # fmt: skip
        yield f"connections ended without an answer: {self.seen.cut}"
        yield f"kept and answered 200: {len(self.seen.kept)}; missing: {self.missing}"
        for name, times in (("/healthz", self.seen.healthz), ("/metrics", self.seen.metrics)):
            cut = quantiles(times, n=20) if len(times) > 1 else [0.0] * 19
            yield f"{name}: {len(times)} looks, half within {cut[9]:.2f} s, 95 % within {cut[18]:.2f} s, all within {max(times):.2f} s"
        yield f"memory: idle {self.idle:.0f} MiB, at most {self.worst:.0f}, afterwards {self.after:.0f}"
        yield f"log lines counted: {self.lines_read:,.0f}"


@contextmanager
def burning(directory: Path, rate: int, churn: float = 0.0) -> Iterator[Product]:
    """The real process with such an Engine beside it."""
    words = [sys.executable, "-m", "tests.fire.engine", directory, rate, churn]
    engine = spawn([str(word) for word in words], directory / "engine.log", cwd=Path(__file__).parents[2])  # fmt: skip
    nobody = f"http://127.0.0.1:{free_port()}"
    product = Product(
        directory / "product",
        {
            "DOCKER_HOST": f"unix://{directory}/engine.sock",
            "APP_CONTAINERS": NAME,
            "APP_URL": nobody,
            "MINIO_URL": nobody,
            "DRY_RUN": "true",
        },
    )
    try:
        wait_for(lambda: "ready" in engine.tail(), "the Engine", process=engine)
        product.start()
        wait_for(lambda: requests_counted(product) > 0, "the log is read", process=product.process)
        yield product
    finally:
        product.stop()
        engine.stop()


def requests_counted(product: Product) -> float:
    return sum(
        float(line.rpartition(" ")[2])
        for line in product.metrics().splitlines()
        if line.startswith("sermon_uploader_requests_total{")
    )


def flood(directory: Path, size: Size, tell: Tell) -> Outcome:
    with burning(directory, size.lines) as product:
        assert product.process is not None
        pids = [product.process.pid]
        return asyncio.run(_flood(product, pids, size, tell))


async def _flood(product: Product, pids: list[int], size: Size, tell: Tell) -> Outcome:
    numbers, seen, calm = itertools.count(), Seen(), Seen()
    exporter = f"http://{product.metrics_address}"
    await asyncio.sleep(2.0)
    idle = pss_mib(pids)
    tell("what can be taken")
    await for_seconds(size.sustained_seconds, lambda: load.webhooks(product.url, 0, numbers, calm))
    sustained = len(calm.kept) / size.sustained_seconds
    worst = [pss_mib(pids)]

    async def weigh() -> None:
        while True:
            worst.append(pss_mib(pids))
            await asyncio.sleep(0.5)

    tell(f"{size.webhooks:.0f} webhooks a second, and everything else")
    addresses = itertools.cycle((product.environment["EXPORTER_LISTEN"], product.environment["RECEIVER_LISTEN"]))  # fmt: skip
    await for_seconds(
        size.seconds,
        lambda: load.webhooks(product.url, size.webhooks, numbers, seen),
        lambda: load.scrapes(exporter, size.scrapes, seen),
        lambda: load.look(exporter, product.url, 0.5, seen),
        weigh,
        *(partial(load.slow, next(addresses), seed) for seed in range(size.slow)),
    )
    tell("calm again")
    await asyncio.sleep(size.calm_seconds)
    after, counted = pss_mib(pids), await asyncio.to_thread(requests_counted, product)
    missing = await asyncio.to_thread(_missing, product.state / "receiver.sqlite3", seen)
    return Outcome(seen, sustained, missing, idle, max(worst), after, counted)


def _missing(path: Path, seen: Seen) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        there = {row[0] for row in store.execute("SELECT fingerprint FROM alerts")}
    return sum(load.fingerprint(number) not in there for number in seen.kept)
