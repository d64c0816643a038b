"""``python -m tests.bench.churn``: hundreds of containers come and go for minutes; what was wrong, and what is left.

Its own Docker Engine and an exporter in this process. Exit code 1 when a scrape failed, told of a
container after the Engine had told its removal, or left descriptors behind.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from tests.parts.churn_kit import Churn, Left, docker_of
from tests.parts.exporter_kit import exporter, success
from tests.real import images
from tests.real.engine import DockerEngine

_SLACK = 16
"""Kept connections come and go by themselves."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.churn", description=__doc__)
    parser.add_argument("--containers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--pause", type=float, default=1.0, help="between two scrapes, in seconds")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="sermon-") as directory:
        engine = DockerEngine(Path(directory))
        engine.start()
        try:
            image = images.python_base(engine)
            good = asyncio.run(_churn(engine, image, Path(directory), arguments))
        finally:
            engine.stop()
    sys.exit(0 if good else 1)


async def _churn(
    engine: DockerEngine, image: str, directory: Path, arguments: argparse.Namespace
) -> bool:
    async with (
        exporter(directory, engine.host, APP_CONTAINERS="churn-.*") as running,
        docker_of(engine, image) as docker,
    ):
        await running.until(lambda s: success(s, "containers") == 1, "the Engine")
        await Churn(running, docker, arguments.pause).run(arguments.containers, 0)
        await asyncio.sleep(5)
        before = Left.now()
        print("after the first round:", before, flush=True)
        churn = Churn(running, docker, arguments.pause)
        telling = asyncio.create_task(_tell(churn))
        try:
            await churn.run(arguments.containers, arguments.seconds)
        finally:
            telling.cancel()
        after = Left.now()
        print("after:", after, flush=True)
        print(churn.figures, flush=True)
        return not churn.figures.wrong and after.descriptors <= before.descriptors + _SLACK


async def _tell(churn: Churn) -> None:
    while True:
        await asyncio.sleep(30)
        now, figures = Left.now(), churn.figures
        print(
            f"{figures.started} started, {figures.scrapes} scrapes, {len(figures.wrong)} wrong, {now}",
            flush=True,
        )


if __name__ == "__main__":
    main()
