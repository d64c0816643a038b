"""``python -m tests.bench [SECTION …]``: measure, print a table, write JSON.

Every figure stands beside a peer's or a floor's of the same run; CPU is the kernel's accounting.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
from rich.console import Console

from tests.bench import (
    acting,
    backups,
    containers,
    dispatching,
    drawing,
    engine_stats,
    flood,
    host,
    idle,
    log_lines,
    memory,
    pages,
    report,
    slow_disk,
    webhooks,
)
from tests.bench.fleet import fleet
from tests.bench.report import Figure, Tell
from tests.bench.scrape import Scrapes
from tests.bench.watched import Watched, watched

SIZES = (10, 50, 200)
WRITTEN = Path("build") / "bench.json"
COLUMNS = 150
"""Of a table that goes to a file."""

Alone = Callable[[int, Tell], list[Figure]]
Whole = Callable[[Watched, int, Tell], list[Figure]]


def _log(rounds: int, tell: Tell) -> list[Figure]:
    tell("access log: a million lines of a file, read by us, by mtail and only split")
    figures = log_lines.measure_file(rounds)
    tell("access log: a container's backlog, from the Engine and from its file")
    shares = log_lines.measure_engine(rounds)
    what, unit = "a line of the log from its file, every trap", "CPU µs"
    histogram, least = "mtail: counters and a histogram", "mtail: two labels counted, no latency"
    through, its = "a line of the log through the Engine", "the Engine's own share"
    return [
        report.paired(what, unit, figures.ours, figures.mtail_histogram, histogram, 0.2),
        report.paired(what, unit, figures.ours, figures.mtail_counters, least, 0.2),
        report.paired(what, unit, figures.ours, figures.floor, "split and count, nothing handled"),
        report.paired(through, unit, shares.ours_by_engine, shares.engine, its, 0.5),
    ]


def _exposition(rounds: int, tell: Tell) -> list[Figure]:
    tell("exposition: writing series")
    ours, theirs = containers.measure_text(rounds)
    what, peer = "a labelled series", "prometheus_client's labels"
    return [report.paired(what, "CPU ns", _times(1e9, ours), _times(1e9, theirs), peer)]


def _containers(rounds: int, tell: Tell) -> list[Figure]:
    found = []
    for way, pace, times in (("hot", 0.0, 4), ("cold", 1.0, 2)):
        tell(f"containers: reading control groups, {way}")
        ours, floor = containers.measure(20, rounds * times, pace)
        what, peer = f"a container read and written, {way}", "the same files in C, only read"
        found.append(report.paired(what, "CPU µs", _times(1e6, ours), _times(1e6, floor), peer))
    return found


def _host(rounds: int, tell: Tell) -> list[Figure]:
    found = []
    for way in ("hot", "cold"):
        tell(f"host: {way}")
        figures = host.measure(rounds, cold=way == "cold")
        theirs = _times(1e6, figures.node_exporter)
        for how, ours in (("read and written", figures.ours), ("by HTTP", figures.ours_by_http)):
            what = f"the host {how}, {way}"
            found.append(
                report.paired(what, "CPU µs", _times(1e6, ours), theirs, "node_exporter by HTTP")
            )
    return found


def _webhooks(rounds: int, tell: Tell) -> list[Figure]:
    found = []
    for alerts in (1, 100):
        tell(f"webhooks of {alerts} alert(s)")
        found.append(
            report.paired(
                f"webhooks of {alerts} alert(s), committed with FULL",
                "requests a second",
                *webhooks.measure(alerts, rounds),
                "aiohttp + pydantic + one INSERT, FULL",
            )
        )
        what = f"repeats of {alerts} alert(s)"
        again = webhooks.repeats(alerts, rounds)
        found.append(report.paired(what, "requests a second", *again, "the same as news"))
    return found


def _acting(rounds: int, tell: Tell) -> list[Figure]:
    return [
        *_slow(rounds, tell),
        *_cards(rounds, tell),
        *_dispatches(rounds, tell),
    ]


def _slow(rounds: int, tell: Tell) -> list[Figure]:
    tell("webhooks where an fsync takes 10 ms")
    found, peer = slow_disk.measure(rounds), "the same handler, a commit each"
    late = "the event loop is late at the worst moment in twenty, an fsync takes 10 ms"
    ours, floor = _times(1e3, found.ours_late), _times(1e3, found.floor_late)
    return [
        report.paired(
            "webhooks of 1 alert, an fsync takes 10 ms",
            "requests a second",
            found.ours,
            found.floor,
            peer,
        ),
        report.paired(late, "ms", ours, floor, peer, 1),
    ]


def _cards(rounds: int, tell: Tell) -> list[Figure]:
    tell("from a webhook to its card on the wire, with an empty store and with 10,000 incidents")
    empty, full, floor = (_times(1e3, figures) for figures in acting.measure(rounds))
    tell("the same while a flood of webhooks is accepted")
    pairs = [asyncio.run(flood.cards(20)) for _ in range(rounds)]
    quiet, beside = (_times(1e3, [pair[n] for pair in pairs]) for n in (0, 1))
    card, stored = "webhook to card on the wire", "webhook to card, 10,000 incidents stored"
    flooded = "webhook to card while a flood is accepted"
    return [
        report.paired(card, "ms", empty, floor, "a commit and a round trip", 5),
        report.paired(stored, "ms", full, empty, "an empty store", 1.5),
        report.paired(flooded, "ms", beside, quiet, "nothing else to do"),
    ]


def _dispatches(rounds: int, tell: Tell) -> list[Figure]:
    tell(
        "from a webhook to its dispatch on the wire, with an empty store and with 10,000 incidents"
    )
    empty, full = dispatching.measure(rounds)
    least = [one.floor + one.look / 5 for one in empty]  # the look counts once, not five times
    ours, stored = [one.dispatch for one in empty], [one.dispatch for one in full]
    peer = "a commit and a round trip, with a fifth of our own look"
    return [
        report.paired(
            "webhook to dispatch on the wire", "ms", _times(1e3, ours), _times(1e3, least), peer, 5
        ),
        report.paired(
            "webhook to dispatch, 10,000 incidents stored",
            "ms",
            _times(1e3, stored),
            _times(1e3, ours),
            "an empty store",
            1.5,
        ),
    ]


def _board(rounds: int, tell: Tell) -> list[Figure]:
    tell("the board's first pages, with 10 and with 10,000 incidents")
    return [
        report.paired(
            f"the board's page {page}, 10,000 incidents stored",
            "ms",
            _times(1e3, many),
            _times(1e3, few),
            "10 incidents stored",
            2,
        )
        for page, (many, few) in pages.measure(rounds).items()
    ]


def _pictures(rounds: int, tell: Tell) -> list[Figure]:
    tell("webhooks while pictures are drawn")
    ours, quiet = (_times(1e3, figures) for figures in drawing.measure(rounds))
    what = "a webhook's answer while pictures are drawn"
    return [report.paired(what, "ms", ours, quiet, "none is drawn", 1.5)]


def _times(factor: float, figures: Sequence[float]) -> list[float]:
    return [figure * factor for figure in figures]


def _backups(rounds: int, tell: Tell) -> list[Figure]:
    figures = backups.measure(rounds, tell)
    backups.full_size(tell)
    return figures


ALONE: dict[str, Alone] = {
    "exposition": _exposition,
    "containers": _containers,
    "host": _host,
    "log": _log,
    "webhooks": _webhooks,
    "acting": _acting,
    "board": _board,
    "pictures": _pictures,
    "backups": _backups,
}
"""Sections on a part of ours."""


def _whole(scrapes: Scrapes) -> dict[str, Whole]:
    """Sections on the whole process and a real Engine (as root), once for each size of the fleet."""
    return {
        "idle": idle.measure,
        "scrape": scrapes.measure,
        "engine": engine_stats.measure,
        "memory": memory.measure,
    }


def main() -> None:
    names = [*ALONE, *_whole(Scrapes())]
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="SECTION", help=f"all, or: {' '.join(names)}"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="containers, as 10,50,200")
    parser.add_argument("--json", type=Path, default=WRITTEN, help="where to write the figures")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(names):
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console()
    if not console.is_terminal:
        console = Console(width=COLUMNS)
    chosen = arguments.sections or names
    figures: list[Figure] = []
    for more in _measure(chosen, arguments.rounds, arguments.sizes, console.log):
        figures += more
        report.show(more, console)
        report.write(figures, arguments.json)
    console.rule("all")
    report.show(figures, console)
    console.print(f"written: {arguments.json}")


def _measure(
    chosen: list[str], rounds: int, sizes: tuple[int, ...], tell: Tell
) -> Iterator[list[Figure]]:
    for name, section in ALONE.items():
        if name in chosen:
            yield section(rounds, tell)
    scrapes = Scrapes()
    wanted = [section for name, section in _whole(scrapes).items() if name in chosen]
    if not wanted:
        return
    tell("starting a Docker Engine")
    with fleet() as containers:
        for size in sizes:
            tell(f"starting containers, {size} in all")
            with watched(containers, size) as one:
                for measure in wanted:
                    yield measure(one, rounds, tell)
        yield scrapes.slopes()
        tell("removing the containers")


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(word) for word in text.split(",")))


if __name__ == "__main__":
    main()
