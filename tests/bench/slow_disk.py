"""The webhooks again where an fsync takes 10 ms: ``measure`` runs this module with an fsync of our own.

Source of the figure: what an SD card of a Pi needs for a small synchronous write, in order of magnitude.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import structlog

from tests.bench import flood, webhooks

SOURCE = Path(__file__).with_suffix(".c")
REQUESTS = 800
CONNECTIONS = 32
"""Half of them are answered while the others wait for the disk; a commit each gains nothing by more."""


class Slow(NamedTuple):
    """Each round's figures, ours and those of the handler with a commit each, in turn."""

    ours: list[float]
    """Requests of one alert a second."""
    floor: list[float]
    ours_late: list[float]
    """Seconds that the event loop is late at the worst moment in twenty."""
    floor_late: list[float]


def measure(rounds: int) -> Slow:
    with tempfile.TemporaryDirectory() as directory:
        library = Path(directory) / "slow_disk.so"
        words = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(words, check=True)
        answer = subprocess.run(
            [sys.executable, "-m", "tests.bench.slow_disk", str(rounds)],
            env={**os.environ, "LD_PRELOAD": str(library)},
            capture_output=True,
            text=True,
            check=True,
        )
    return Slow(*json.loads(answer.stdout))


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    rounds = [asyncio.run(_round()) for _ in range(int(sys.argv[1]))]
    print(json.dumps(list(zip(*rounds, strict=True))))


async def _round() -> tuple[float, float, float, float]:
    ours, ours_late = await flood.with_lag(
        webhooks.ours(1, REQUESTS, connections=CONNECTIONS), webhooks.STARTED
    )
    floor, floor_late = await flood.with_lag(
        webhooks.floor(1, REQUESTS // 4, connections=CONNECTIONS), webhooks.STARTED
    )
    return ours, floor, flood.worst(ours_late), flood.worst(floor_late)


if __name__ == "__main__":
    main()
