"""CPU of telling the machine's figures, against a node_exporter that tells the same ones.

Ours is measured twice: the reading and the text alone, and behind HTTP in a process of its own, as
node_exporter is. ``python -m tests.bench.host`` prints medians.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import NamedTuple

from aiohttp import web

from exporter.exposition import Samples, render
from exporter.host.areas import areas
from exporter.scrape import Reading, Scraper
from tests.bench.kernel import cpu_seconds
from tests.real import processes
from tests.real.node_exporter import NodeExporter
from tests.real.processes import Process, fetch, free_port, wait_for

HOT_SCRAPES = 50
COLD_SCRAPES = 5
COLD_PACE_SECONDS = 1.0


class Figures(NamedTuple):
    """CPU seconds a scrape: a value a round, of the three in turn."""

    ours: list[float]
    ours_by_http: list[float]
    node_exporter: list[float]


class _Host:
    """The host collector without the rest of the exporter."""

    name = "host"

    def __init__(self) -> None:
        self._areas = areas(Path("/proc"), Path("/"))

    async def run(self) -> None:
        return None

    def begin(self) -> Reading:
        return self._read

    def _read(self) -> Sequence[Samples]:
        samples: list[Samples] = []
        for area in self._areas:
            try:
                samples += area.read()
            except OSError:
                if not area.optional:
                    raise
        return samples

    def text(self) -> bytes:
        return render(self._read(), "")[0]


def measure(rounds: int, *, cold: bool) -> Figures:
    """Hot: one scrape after the other. Cold: one a second, when the caches have forgotten. Raises DebianError."""
    host = _Host()
    scrapes, pace = (COLD_SCRAPES, COLD_PACE_SECONDS) if cold else (HOT_SCRAPES, 0.0)
    with _node_exporter() as peer, _server() as server:
        asked = (
            (host.text, time.process_time),
            (_kept(server.port), lambda: cpu_seconds([server.process.pid])),
            (_kept(peer.port), lambda: cpu_seconds([peer.pid])),
        )
        _round(asked, 10, 0.0)  # what is done once is not a scrape's
        found = [_round(asked, scrapes, pace) for _ in range(rounds)]
    return Figures(*(list(column) for column in zip(*found, strict=True)))


_Asked = tuple[tuple[Callable[[], object], Callable[[], float]], ...]


def _round(asked: _Asked, scrapes: int, pace: float) -> list[float]:
    """CPU seconds a scrape of each, asked in turn."""
    spent = [0.0] * len(asked)
    for _ in range(scrapes):
        for place, (ask, clock) in enumerate(asked):
            began = clock()
            ask()
            spent[place] += clock() - began
        time.sleep(pace)
    return [one / scrapes for one in spent]


def _kept(port: int) -> Callable[[], object]:
    """A scrape over one connection that is kept, as Prometheus keeps it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)

    def scrape() -> bytes:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()

    return scrape


@contextmanager
def _node_exporter() -> Iterator[NodeExporter]:
    with tempfile.TemporaryDirectory(prefix="sermon-") as directory:
        peer = NodeExporter(Path(directory))
        try:
            peer.start()
            yield peer
        finally:
            peer.stop()


class _Server(NamedTuple):
    process: Process
    port: int


@contextmanager
def _server() -> Iterator[_Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with tempfile.TemporaryDirectory(prefix="sermon-") as directory:
        process = processes.spawn(
            [sys.executable, "-m", "tests.bench.host", str(port)], Path(directory) / "log"
        )
        try:
            wait_for(lambda: fetch(url)[0] == 200, "the host collector", process=process)
            yield _Server(process, port)
        finally:
            process.stop()


async def _serve(port: int) -> None:
    scraper = Scraper([_Host()])

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=render(await scraper.scrape(10.0), "")[0])

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def main() -> None:
    for cold in (False, True):
        figures = measure(5, cold=cold)
        theirs = figures.node_exporter
        for name, values in figures._asdict().items():
            ratio = median(mine / one for mine, one in zip(values, theirs, strict=True))
            pace = "cold" if cold else "hot"
            print(f"{pace:4} {name:14} {median(values) * 1e6:7.0f} µs CPU a scrape  {ratio:.2f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(_serve(int(sys.argv[1])))
    else:
        main()
