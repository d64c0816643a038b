"""An Engine with one container whose log is a file that somebody writes fast: ``python -m tests.fire.engine DIRECTORY RATE``.

A process of its own, so that what it costs is not counted for whoever watches.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.log_lines import write_file
from tests.parts.scripted_engine import ScriptedEngine

KEY = "a" * 64
NAME = "sermon-uploader"
MOST_BYTES = 16 * 1024 * 1024
TICK_SECONDS = 0.05
WHEN = b"2000-01-01T00:00:00.000000000Z"
"""Stands in the sample for the time at which it is written."""


class Log:
    """Written by the block, rotated by size as the Engine does it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def append(self, block: bytes) -> None:
        if self._file.tell() + len(block) > MOST_BYTES:
            self._file.close()
            self._path.rename(f"{self._path}.1")
            self._file = self._path.open("ab", buffering=0)
        self._file.write(block)


def blocks(directory: Path, lines: int) -> list[bytes]:
    """Some thousand lines, hostile ones among them, cut into blocks of ``lines``."""
    sample = directory / "sample"
    write_file(sample, 20_000)
    dated = re.sub(rb'"time":"[^"]+"', b'"time":"' + WHEN + b'"', sample.read_bytes())
    every = dated.splitlines(keepends=True)
    return [b"".join(every[at : at + lines]) for at in range(0, len(every), lines)]


async def write(log: Log, some: list[bytes]) -> None:
    """One block a tick, on the average: what was missed is made up for."""
    began = time.monotonic()
    for number, block in enumerate(itertools.cycle(some)):
        ahead = began + number * TICK_SECONDS - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        log.append(block.replace(WHEN, now))
        if number % 8 == 7:
            await asyncio.sleep(0)  # the Engine's API answers too


async def churn(engine: ScriptedEngine, seconds: float) -> None:
    """Another container comes and goes, and the events tell of it."""
    for number in itertools.count():
        key = f"{number:064x}"
        engine.add(key, f"churn-{number}")
        engine.tell("start", key, time.time_ns(), name=f"churn-{number}")
        await asyncio.sleep(seconds)
        del engine.containers[key]
        engine.tell("die", key, time.time_ns(), name=f"churn-{number}", exitCode="0")
        engine.tell("destroy", key, time.time_ns(), name=f"churn-{number}")


async def main(directory: Path, rate: int, churning_seconds: float) -> None:
    engine, path = ScriptedEngine(directory / "engine.sock"), directory / f"{KEY}-json.log"
    log = Log(path)
    engine.add(KEY, NAME)
    engine.containers[KEY] |= {"LogPath": str(path), "HostConfig": {"LogConfig": {"Type": "json-file"}}}  # fmt: skip
    some = blocks(directory, max(1, int(rate * TICK_SECONDS)))
    async with engine.serving(), asyncio.TaskGroup() as group:
        print("ready", flush=True)
        group.create_task(write(log, some))
        if churning_seconds:
            group.create_task(churn(engine, churning_seconds))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
