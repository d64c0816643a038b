"""Collectors apart, timed, under a deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from exporter.exposition import Family, Samples, find
from exporter.scrape import CollectorError, Reading, Scraper, scrape_seconds

LONG = 30.0


def value_of(name: str, value: float = 1) -> Samples:
    return Family(f"{name}_value", "gauge", "x").one(value)


class Fake:
    """A collector that does what it is told."""

    def __init__(self, name: str, work: Callable[[], Sequence[Samples]]) -> None:
        self.name = name
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()
        self._work = work

    async def run(self) -> None:
        return None

    def begin(self) -> Reading:
        self.calls += 1
        return self._read

    def _read(self) -> Sequence[Samples]:
        self.gate.wait(LONG)
        return self._work()


class Hasty(Fake):
    """One that fails in the event loop already."""

    def begin(self) -> Reading:
        self._work()
        raise AssertionError("its work raises")


def fine(name: str) -> Fake:
    return Fake(name, lambda: [value_of(name)])


def failing(kind: type[Fake], name: str, error: Exception) -> Fake:
    def fail() -> Sequence[Samples]:
        raise error

    return kind(name, fail)


def by_collector(samples: Sequence[Samples], name: str) -> dict[str, float]:
    lines = find(samples, name).decode().splitlines()
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


def success(samples: Sequence[Samples]) -> dict[str, float]:
    return by_collector(samples, "sermon_monitor_collector_success")


@pytest.mark.parametrize("kind", [Fake, Hasty])
async def test_one_that_fails_spoils_nothing(kind: type[Fake]) -> None:
    defect = failing(kind, "defect", ZeroDivisionError("x"))
    partial = failing(kind, "partial", CollectorError("half", [value_of("half", 2)]))
    scraper = Scraper([fine("good"), defect, partial])
    samples = await scraper.scrape(LONG)
    assert success(samples) == {"good": 1, "defect": 0, "partial": 0}
    assert find(samples, "good_value") == b"good_value 1\n"
    assert find(samples, "half_value") == b"half_value 2\n"
    durations = by_collector(samples, "sermon_monitor_collector_duration_seconds")
    assert set(durations) == {"good", "defect", "partial"}
    scraper.close()


async def test_one_that_is_stuck_is_left_out_and_not_started_again() -> None:
    stuck, good = fine("stuck"), fine("good")
    stuck.gate.clear()
    scraper = Scraper([stuck, good])

    for _ in range(3):
        assert success(await scraper.scrape(0.5)) == {"stuck": 0, "good": 1}
    assert (stuck.calls, good.calls) == (1, 3)

    # What it says so late is not told: it is as old as the scrape that gave it up.
    stuck.gate.set()
    async with asyncio.timeout(LONG):
        while success(samples := await scraper.scrape(LONG)) != {"stuck": 1, "good": 1}:
            assert not find(samples, "stuck_value")
    assert stuck.calls == 2
    scraper.close()


async def test_a_stuck_one_costs_later_scrapes_nothing() -> None:
    stuck = fine("stuck")
    stuck.gate.clear()
    scraper = Scraper([stuck, fine("good")])
    await scraper.scrape(0.5)
    async with asyncio.timeout(LONG / 2):
        assert success(await scraper.scrape(LONG)) == {"stuck": 0, "good": 1}
    stuck.gate.set()
    scraper.close()


async def test_several_that_are_stuck_hold_up_no_other() -> None:
    """As when a disk hangs from which several read. What a scrape has no time to begin, the next one tells."""
    stuck = [fine(f"stuck{number}") for number in range(3)]
    for one in stuck:
        one.gate.clear()
    scraper = Scraper([*stuck, fine("good")])
    async with asyncio.timeout(LONG):
        while not success(samples := await scraper.scrape(0.25))["good"]:
            pass
    assert sum(success(samples).values()) == 1
    assert success(await scraper.scrape(LONG))["good"] == 1
    for one in stuck:
        one.gate.set()
    async with asyncio.timeout(LONG):
        while sum(success(await scraper.scrape(LONG)).values()) < 4:
            pass
    scraper.close()


async def test_an_impatient_scrape_spoils_no_other() -> None:
    slow = fine("slow")
    slow.gate.clear()
    scraper = Scraper([slow])
    patient = asyncio.create_task(scraper.scrape(LONG))
    await asyncio.sleep(0)
    assert success(await scraper.scrape(0.05)) == {"slow": 0}
    slow.gate.set()
    assert success(await patient) == {"slow": 1}
    scraper.close()


async def test_two_scrapes_at_once_share_one_run() -> None:
    slow = fine("slow")
    slow.gate.clear()
    scraper = Scraper([slow])
    both = asyncio.gather(scraper.scrape(LONG), scraper.scrape(LONG))
    await asyncio.sleep(0)
    slow.gate.set()
    assert [success(samples) for samples in await both] == [{"slow": 1}, {"slow": 1}]
    assert slow.calls == 1
    scraper.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 9.5),
        ("", 9.5),
        ("10", 9.5),
        ("1", 0.8),
        ("0.5", 0.4),
        ("0.001", 0.25),
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
