"""Collectors apart, timed, under a deadline; and what is made of their families."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from exporter.app import render
from exporter.scrape import CollectorError, Scraper, scrape_seconds

LONG = 30.0


class Fake:
    """A collector that does what it is told."""

    def __init__(self, name: str, work: Callable[[], Sequence[Metric]]) -> None:
        self.name = name
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._work = work

    async def run(self) -> None:
        return None

    async def collect(self) -> Sequence[Metric]:
        self.calls += 1
        await self.gate.wait()
        return self._work()


def fine(name: str) -> Fake:
    return Fake(name, lambda: [GaugeMetricFamily(f"{name}_value", "x", value=1)])


def failing(name: str, error: Exception) -> Fake:
    def fail() -> Sequence[Metric]:
        raise error

    return Fake(name, fail)


def values(families: Sequence[Metric], name: str) -> dict[str, float]:
    return {
        next(iter(sample.labels.values()), ""): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def success(families: Sequence[Metric]) -> dict[str, float]:
    return values(families, "sermon_monitor_collector_success")


async def test_one_that_fails_spoils_nothing() -> None:
    defect = failing("defect", ZeroDivisionError("x"))
    partial = failing(
        "partial", CollectorError("half", [GaugeMetricFamily("half_value", "x", value=2)])
    )
    families = await Scraper([fine("good"), defect, partial]).scrape(LONG)
    assert success(families) == {"good": 1, "defect": 0, "partial": 0}
    assert values(families, "good_value") == {"": 1}
    assert values(families, "half_value") == {"": 2}
    durations = values(families, "sermon_monitor_collector_duration_seconds")
    assert set(durations) == {"good", "defect", "partial"}


async def test_one_that_is_stuck_is_left_out_and_not_started_again() -> None:
    stuck, good = fine("stuck"), fine("good")
    stuck.gate.clear()
    scraper = Scraper([stuck, good])

    for _ in range(3):
        assert success(await scraper.scrape(0.05)) == {"stuck": 0, "good": 1}
    assert (stuck.calls, good.calls) == (1, 3)

    # What it says so late is not told: it is as old as the scrape that gave it up.
    stuck.gate.set()
    assert success(await scraper.scrape(LONG)) == {"stuck": 0, "good": 1}
    assert success(await scraper.scrape(LONG)) == {"stuck": 1, "good": 1}
    assert stuck.calls == 2
    await scraper.close()


async def test_a_stuck_one_costs_later_scrapes_nothing() -> None:
    stuck = fine("stuck")
    stuck.gate.clear()
    scraper = Scraper([stuck])
    await scraper.scrape(0.05)
    async with asyncio.timeout(LONG / 2):
        assert success(await scraper.scrape(LONG)) == {"stuck": 0}
    await scraper.close()


async def test_two_scrapes_at_once_share_one_run() -> None:
    slow = fine("slow")
    slow.gate.clear()
    scraper = Scraper([slow])
    both = asyncio.gather(scraper.scrape(LONG), scraper.scrape(LONG))
    await asyncio.sleep(0)
    slow.gate.set()
    assert [success(families) for families in await both] == [{"slow": 1}, {"slow": 1}]
    assert slow.calls == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 9.5),
        ("", 9.5),
        ("10", 9.5),
        ("1", 0.8),
        ("0.5", 0.4),
        ("nan", 9.5),
        ("inf", 9.5),
        ("-3", 9.5),
        ("0", 9.5),
        ("ten", 9.5),
        ("86400", 119.5),
    ],
)
def test_the_deadline(header: str | None, seconds: float) -> None:
    assert scrape_seconds(header) == pytest.approx(seconds)


FAMILIES = [
    CounterMetricFamily("a", "A\nB.", value=1),
    GaugeMetricFamily("empty", "Nothing.", labels=["x"]),
]


def test_the_plain_format() -> None:
    body, content_type = render(FAMILIES, "")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert body == b"# HELP a_total A\\nB.\n# TYPE a_total counter\na_total 1.0\n"


PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.2"
)


def test_openmetrics_when_asked_for() -> None:
    for accept in ("application/openmetrics-text", PROMETHEUS_3):
        body, content_type = render(FAMILIES, accept)
        assert content_type.startswith("application/openmetrics-text; version=1.0.0")
        assert body.endswith(b"# EOF\n")
        assert b"# TYPE a counter\na_total 1.0\n" in body


@pytest.mark.parametrize(
    "accept",
    ["*/*", "text/html", "application/openmetrics-text;version=x", "text/plain;version=1.0.0"],
)
def test_plain_for_everyone_else(accept: str) -> None:
    assert render(FAMILIES, accept)[1] == "text/plain; version=0.0.4; charset=utf-8"
