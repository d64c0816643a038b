"""One scrape: every collector apart, timed, under the scrape's own deadline."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from exporter.exposition import Family, Samples, number
from exporter.lane import Lane

DEFAULT_TIMEOUT_SECONDS = 10.0
"""Prometheus' own default, for a scrape that does not say its timeout."""
STALL_SECONDS = 1.0
"""After so long the collectors behind the one that is reading are read by another thread; after a quarter of it
again, where that one is stuck too."""
_LONGEST_SECONDS = 120.0
_LEAST_SECONDS = 0.25
"""A scrape that wants less must not make the next one believe that everything is stuck."""
_DURATION = Family(
    "sermon_monitor_collector_duration_seconds",
    "gauge",
    "How long the collector took in this scrape; while it is stuck, for how long it has been.",
)
_SUCCESS = Family(
    "sermon_monitor_collector_success",
    "gauge",
    "Whether the collector could tell all it should (1) or not (0).",
)

log = structlog.get_logger(__name__)

Reading = Callable[[], Sequence[Samples]]


class CollectorError(Exception):
    """What a collector says when it cannot know all it should. ``partial`` is what it knows all the same."""

    def __init__(self, words: str, partial: Sequence[Samples] = ()) -> None:
        super().__init__(words)
        self.partial = tuple(partial)


class Collector(Protocol):
    """A part of the exposition. ``name`` is its file and its label.

    A scrape takes two steps. ``begin`` runs in the event loop: it takes what the loop owns, and never
    blocks. The reading it returns runs in a thread of the scrape: it may read files, and touches
    nothing that the loop changes. Either raises CollectorError.
    """

    name: str

    def begin(self) -> Reading: ...

    async def run(self) -> None:
        """Its work in the background; returns at once where there is none."""
        ...


def known(samples: Sequence[Samples]) -> Reading:
    """The reading of a collector that has nothing to read: all it tells is in the event loop."""
    return lambda: samples


def scrape_seconds(header: str | None) -> float:
    """The time a scrape has, from ``X-Prometheus-Scrape-Timeout-Seconds``, less what rendering and sending take."""
    try:
        asked = float(header) if header else DEFAULT_TIMEOUT_SECONDS
    except ValueError:
        asked = DEFAULT_TIMEOUT_SECONDS
    if not math.isfinite(asked) or asked <= 0:
        asked = DEFAULT_TIMEOUT_SECONDS
    asked = min(asked, _LONGEST_SECONDS)
    return max(_LEAST_SECONDS, asked - min(0.5, asked * 0.2))


class _Run:
    """One collector in one scrape; ``given_up`` once a scrape has left without it."""

    def __init__(self, collector: Collector) -> None:
        self.name = collector.name
        self.given_up = False
        self.ended = False
        self.seconds = 0.0
        self.samples: Sequence[Samples] = ()
        self.problem = ""
        self._collector = collector
        self._reading: Reading = known(())
        self._since = time.monotonic()

    @property
    def seconds_so_far(self) -> float:
        return self.seconds if self.ended else time.monotonic() - self._since

    def begin(self) -> None:
        """In the event loop."""
        try:
            self._reading = self._collector.begin()
        except Exception as error:  # noqa: BLE001 - told by _fail: one collector never fails a scrape
            self._fail(error)
        else:
            self.seconds = time.monotonic() - self._since

    def read(self) -> None:
        """In a scrape's thread."""
        self._since = time.monotonic() - self.seconds
        try:
            self.samples = self._reading()
        except Exception as error:  # noqa: BLE001 - told by _fail
            self._fail(error)
        else:
            self._end()

    def _fail(self, error: Exception) -> None:
        if isinstance(error, CollectorError):
            self.samples, self.problem = error.partial, str(error)
        else:
            log.error("collector has a defect", collector=self.name, exc_info=error)
            self.problem = f"{type(error).__name__}: {error}"
        self._end()

    def _end(self) -> None:
        self.seconds = time.monotonic() - self._since
        self.ended = True


class _Scrape:
    """All collectors, once. Those that are stuck since an earlier scrape are not asked."""

    def __init__(self, runs: Sequence[_Run]) -> None:
        self.runs = runs
        self.waiting = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked = tuple(run for run in runs if not run.given_up)
        for run in self._asked:
            run.begin()
        self._waiting = deque(run for run in self._asked if not run.ended)
        self._loop = asyncio.get_running_loop()

    @property
    def unread(self) -> int:
        """How many nobody has begun to read."""
        return len(self._waiting)

    def abandon(self) -> list[_Run]:
        """Those that nobody has begun to read: nobody will."""
        left = []
        with suppress(IndexError):
            while True:
                left.append(self._waiting.pop())
        return left

    def read(self) -> None:
        """In a lane: read what waits. Several lanes may do so at once, when others are stuck."""
        with suppress(IndexError):  # another lane took the last
            while self._waiting:
                self._waiting.popleft().read()
        with suppress(RuntimeError):  # the loop has been closed meanwhile: nobody waits
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if not self.done.done() and all(run.ended for run in self._asked):
            self.done.set_result(None)


class Scraper:
    """Runs the collectors. Two scrapes at the same time share one."""

    def __init__(self, collectors: Sequence[Collector]) -> None:
        self._collectors = tuple(collectors)
        self._lane = Lane("scrape")
        self._scrape: _Scrape | None = None
        self._stuck: dict[str, _Run] = {}
        self._failing: dict[str, str] = {}

    async def scrape(self, deadline_seconds: float) -> list[Samples]:
        """All families, and for each collector how long it took and whether it succeeded."""
        scrape = self._scrape
        if scrape is None or scrape.done.done():
            scrape = self._scrape = _Scrape([self._run(one) for one in self._collectors])
            self._lane.do(scrape.read)
        scrape.waiting += 1
        try:
            await self._until(scrape, deadline_seconds)
            if not scrape.done.done() and scrape.waiting == 1:
                self._give_up(scrape)  # the others who wait for it have more time
        finally:
            scrape.waiting -= 1
        return self._gather(scrape)

    async def _until(self, scrape: _Scrape, deadline_seconds: float) -> None:
        """Behind a collector that is stuck another thread goes on, and behind the next one yet another."""
        ends = time.monotonic() + deadline_seconds
        pause = stall = min(STALL_SECONDS, deadline_seconds / 2)
        while not await _wait(scrape.done, min(pause, max(0.0, ends - time.monotonic()))):
            if time.monotonic() >= ends:
                return
            if scrape.unread:
                self._leave_lane()
                self._lane.do(scrape.read)
                pause = stall / 4

    def _leave_lane(self) -> None:
        """To what it is stuck with."""
        self._lane.close()
        self._lane = Lane("scrape")

    def close(self) -> None:
        """End the thread."""
        self._lane.close()

    def _run(self, collector: Collector) -> _Run:
        """One that is stuck is left alone and not started a second time."""
        stuck = self._stuck.get(collector.name)
        if stuck is not None and not stuck.ended:
            return stuck
        self._stuck.pop(collector.name, None)
        return _Run(collector)

    def _give_up(self, scrape: _Scrape) -> None:
        """What ends after its scrape has left is too old to be told. What was never begun is not stuck."""
        self._leave_lane()
        unread = scrape.abandon()
        for run in scrape.runs:
            if not run.ended:
                run.given_up = True
                if run not in unread:
                    self._stuck[run.name] = run
        if self._scrape is scrape:
            self._scrape = None

    def _gather(self, scrape: _Scrape) -> list[Samples]:
        samples: list[Samples] = []
        durations, successes = [], []
        for run in scrape.runs:
            late = run.given_up or not run.ended
            seconds = run.seconds_so_far
            problem = f"no answer for {seconds:.1f} s" if late else run.problem
            self._note(run.name, problem)
            if not late:
                samples.extend(run.samples)
            durations.append(_DURATION.series(collector=run.name) + number(round(seconds, 6)))
            successes.append(_SUCCESS.series(collector=run.name) + (b"0" if problem else b"1"))
        for family, lines in ((_DURATION, durations), (_SUCCESS, successes)):
            samples.append(Samples(family, b"".join(line + b"\n" for line in lines)))
        return samples

    def _note(self, name: str, problem: str) -> None:
        """Log a change for the worse or the better once, not every fifteen seconds."""
        before = self._failing.get(name, "")
        if problem and not before:
            log.warning("collector failed", collector=name, reason=problem)
        elif before and not problem:
            log.info("collector recovered", collector=name)
        self._failing[name] = problem


async def _wait(future: asyncio.Future[None], seconds: float) -> bool:
    await asyncio.wait({future}, timeout=seconds)
    return future.done()
