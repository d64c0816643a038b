"""One scrape: every collector apart, timed, under the scrape's own deadline."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

DEFAULT_TIMEOUT_SECONDS = 10.0
"""Prometheus' own default, for a scrape that does not say its timeout."""
_LONGEST_SECONDS = 120.0

log = structlog.get_logger(__name__)


class CollectorError(Exception):
    """What a collector says when it cannot know all it should. ``partial`` is what it knows all the same."""

    def __init__(self, words: str, partial: Sequence[Metric] = ()) -> None:
        super().__init__(words)
        self.partial = tuple(partial)


class Collector(Protocol):
    """A part of the exposition. ``name`` is its file and its label."""

    name: str

    async def collect(self) -> Sequence[Metric]:
        """The families as they are now; never blocks the event loop. Raises CollectorError."""
        ...

    async def run(self) -> None:
        """Its work in the background; returns at once where there is none."""
        ...


def scrape_seconds(header: str | None) -> float:
    """The time a scrape has, from ``X-Prometheus-Scrape-Timeout-Seconds``, less what rendering and sending take."""
    try:
        asked = float(header) if header else DEFAULT_TIMEOUT_SECONDS
    except ValueError:
        asked = DEFAULT_TIMEOUT_SECONDS
    if not math.isfinite(asked) or asked <= 0:
        asked = DEFAULT_TIMEOUT_SECONDS
    asked = min(asked, _LONGEST_SECONDS)
    return asked - min(0.5, asked * 0.2)


@dataclass
class _Run:
    """One call of a collector; ``given_up`` once a scrape has left without it."""

    began: float
    ended: float | None = None
    given_up: bool = False
    task: asyncio.Task[Sequence[Metric]] = field(init=False)

    async def time(self, collector: Collector) -> Sequence[Metric]:
        self.began = time.monotonic()
        try:
            return await collector.collect()
        finally:
            self.ended = time.monotonic()


class Scraper:
    """Runs the collectors. Two scrapes at the same time share one run of each."""

    def __init__(self, collectors: Sequence[Collector]) -> None:
        self._collectors = tuple(collectors)
        self._runs: dict[str, _Run] = {}
        self._failing: dict[str, str] = {}

    async def scrape(self, deadline_seconds: float) -> list[Metric]:
        """All families, and for each collector how long it took and whether it succeeded."""
        runs = {one.name: self._start(one) for one in self._collectors}
        hopeless = {name for name, run in runs.items() if run.given_up}
        waited = [run.task for name, run in runs.items() if name not in hopeless]
        if waited:
            await asyncio.wait(waited, timeout=deadline_seconds)
        return self._gather(runs, hopeless)

    async def close(self) -> None:
        """Cancel what still runs."""
        tasks = [run.task for run in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, collector: Collector) -> _Run:
        """A run under way is joined; one that is stuck is left alone and not started a second time."""
        run = self._runs.get(collector.name)
        if run is None or run.task.done():
            run = _Run(began=time.monotonic())
            run.task = asyncio.create_task(run.time(collector))
            run.task.add_done_callback(_take_note)
            self._runs[collector.name] = run
        return run

    def _gather(self, runs: Mapping[str, _Run], hopeless: set[str]) -> list[Metric]:
        duration = GaugeMetricFamily(
            "sermon_monitor_collector_duration_seconds",
            "How long the collector took in this scrape; while it is stuck, for how long it has been.",
            labels=["collector"],
        )
        success = GaugeMetricFamily(
            "sermon_monitor_collector_success",
            "Whether the collector could tell all it should (1) or not (0).",
            labels=["collector"],
        )
        families: list[Metric] = [duration, success]
        for name, run in runs.items():
            collected, problem = _late(run) if name in hopeless else _outcome(run)
            self._note(name, problem)
            families.extend(collected)
            duration.add_metric([name], (run.ended or time.monotonic()) - run.began)
            success.add_metric([name], 0.0 if problem else 1.0)
        return families

    def _note(self, name: str, problem: str) -> None:
        """Log a change for the worse or the better once, not every fifteen seconds."""
        before = self._failing.get(name, "")
        if problem and not before:
            log.warning("collector failed", collector=name, reason=problem)
        elif before and not problem:
            log.info("collector recovered", collector=name)
        self._failing[name] = problem


def _take_note(task: asyncio.Task[Sequence[Metric]]) -> None:
    """The outcome of a run that every scrape has left is taken note of all the same."""
    if not task.cancelled():
        task.exception()


def _outcome(run: _Run) -> tuple[Sequence[Metric], str]:
    """The families of a run and what is wrong with it in words, empty when nothing is."""
    if not run.task.done():
        return _late(run)
    if run.task.cancelled():
        return (), "cancelled"
    error = run.task.exception()
    if error is None:
        return run.task.result(), ""
    if isinstance(error, CollectorError):
        return error.partial, str(error)
    log.error("collector has a defect", exc_info=error)
    return (), f"{type(error).__name__}: {error}"


def _late(run: _Run) -> tuple[Sequence[Metric], str]:
    """What comes after its scrape has left is too old to be told."""
    run.given_up = True
    return (), f"no answer for {time.monotonic() - run.began:.1f} s"
