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

import structlog

from tests.bench import webhooks

SOURCE = Path(__file__).with_suffix(".c")
REQUESTS = 400


def measure(rounds: int) -> tuple[list[float], list[float]]:
    """Requests of one alert a second: ours, and a commit each, in turn."""
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
    ours, floor = json.loads(answer.stdout)
    return ours, floor


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    pairs = [
        (asyncio.run(webhooks.ours(1, REQUESTS)), asyncio.run(webhooks.floor(1, REQUESTS)))
        for _ in range(int(sys.argv[1]))
    ]
    print(json.dumps([[pair[0] for pair in pairs], [pair[1] for pair in pairs]]))


if __name__ == "__main__":
    main()
