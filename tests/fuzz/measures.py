"""What is measured of a target: the slowest execution, whether anything grows, and branches by coverage.py."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SLOWEST_SECONDS = 1.0
"""Of the processor's time: what the machine does beside it does not count."""
EVERY = 20_000
MOST_GROWTH = 20_000
"""Blocks of Python's memory, each an object or so, from the first tenth of the executions to the last."""
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("target", "exporter", "receiver", "sermon_monitor")
"""Ours, as far as what is fuzzed is in it."""


@dataclass
class Watched:
    """One execution after the other. Raises AssertionError for one that takes too long."""

    run: Callable[[bytes], None]
    told: Path
    executions: int = 0
    slowest_seconds: float = 0.0
    blocks: list[int] = field(default_factory=list)

    def __call__(self, data: bytes) -> None:
        begun = time.thread_time()
        self.run(data)
        took = time.thread_time() - begun
        if took > self.slowest_seconds:
            assert took < SLOWEST_SECONDS, f"{took:.2f} s of the processor for {len(data)} bytes"
            self.slowest_seconds = took
        self.executions += 1
        if self.executions % EVERY == 0:
            self._tell()

    def _tell(self) -> None:
        gc.collect()
        self.blocks.append(sys.getallocatedblocks())
        first = self.blocks[len(self.blocks) // 10]
        told = {
            "slowest_seconds": round(self.slowest_seconds, 4),
            "growth_blocks": self.blocks[-1] - first,
        }
        self.told.write_text(json.dumps(told))


@dataclass(frozen=True)
class Branches:
    """Of the functions of ours that were entered. ``missed``: file and line, and the line it never went to."""

    taken: int
    all: int
    missed: tuple[str, ...]


def branches(run: Callable[[bytes], None], inputs: Iterable[bytes], scratch: Path) -> Branches:
    """Plays all inputs."""
    recorded = _recorder()
    with recorded.collect():
        for one in inputs:
            run(one)
    report = scratch / "branches.json"
    recorded.json_report(outfile=str(report), ignore_errors=True)
    entered = [
        (name, function["summary"], function["missing_branches"])
        for name, file in json.loads(report.read_text())["files"].items()
        for at, function in file["functions"].items()
        if at and function["executed_lines"]
    ]
    return Branches(
        sum(summary["covered_branches"] for _, summary, _ in entered),
        sum(summary["num_branches"] for _, summary, _ in entered),
        tuple(f"{name}:{at}->{to}" for name, _, missing in entered for at, to in missing),
    )


def needed(run: Callable[[bytes], None], known: list[bytes], found: list[bytes]) -> list[bytes]:
    """Those of ``found`` that take a branch which neither ``known`` nor a shorter one takes."""
    recorded = _recorder()
    candidates = [*known, *sorted(found, key=lambda one: (len(one), one))]
    with recorded.collect():
        for number, one in enumerate(candidates):
            recorded.switch_context(str(number))
            run(one)
    data, seen, kept = recorded.get_data(), set[tuple[str, int, int]](), list[bytes]()
    for number, one in enumerate(candidates):
        data.set_query_context(str(number))
        arcs = {(name, *arc) for name in data.measured_files() for arc in data.arcs(name) or ()}
        if arcs - seen and number >= len(known):
            kept.append(one)
        seen |= arcs
    return kept


def _recorder() -> Any:
    import coverage  # noqa: PLC0415 - only here, and never beside atheris

    ours = [f"{ROOT}/{package}/*" for package in PACKAGES]
    return coverage.Coverage(branch=True, include=ours, data_file=None, config_file=False)
