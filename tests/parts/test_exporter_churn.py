"""An Engine on which containers come and go, that stops to answer, that is ended and started again."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.restarts import Restarts
from target.discovery import Discovery
from target.engine import Engine
from tests.parts.churn_kit import Churn, Left, docker_of
from tests.parts.exporter_app import App, run
from tests.parts.exporter_kit import QUICK, WITHIN, Running, exporter, samples_of, success
from tests.parts.test_discovery import until
from tests.real import images
from tests.real.engine import DockerEngine

pytestmark = pytest.mark.engine

SECONDS = float(os.environ.get("CHURN_SECONDS", "8"))
CONTAINERS = int(os.environ.get("CHURN_CONTAINERS", "24"))
SETTINGS = {"APP_CONTAINERS": "churn-.*", "HEALTH_CHECK_INTERVAL": "10s"}
"""A probe counts as starved after twice that: here the machine is kept busy on purpose."""


async def test_containers_that_come_and_go(
    engine: DockerEngine, python_image: str, tmp_path: Path
) -> None:
    async with (
        exporter(tmp_path, engine.host, **SETTINGS) as running,
        docker_of(engine, python_image) as docker,
    ):
        await running.until(lambda s: success(s, "containers") == 1, "the Engine")
        await Churn(running, docker, 0.05).run(CONTAINERS, 0)  # all that is made once is made now
        before = await settled(running)
        churn = Churn(running, docker, 0.05)
        await churn.run(CONTAINERS, SECONDS)
        assert churn.figures.wrong == []
        assert churn.figures.most_seen == CONTAINERS
        await until_back(running, before)
        grown = Left.now().objects - before.objects
        # What is remembered of each, within bounds: its restarts, its kills, its last events.
        assert grown < 20 * churn.figures.started + 2000


async def settled(running: Running) -> Left:
    """When two looks in a row see the same descriptors and tasks."""
    left = Left.now()
    async with asyncio.timeout(WITHIN):
        while True:
            await running.samples()
            await asyncio.sleep(0.5)
            now = Left.now()
            if (now.descriptors, now.tasks) == (left.descriptors, left.tasks):
                return now
            left = now


async def until_back(running: Running, before: Left) -> None:
    """Until no more is held than before. Kept connections to the Engine are bounded, and may differ."""
    left = before
    try:
        async with asyncio.timeout(WITHIN):
            while True:
                await running.samples()
                left = Left.now()
                if left.descriptors <= before.descriptors + 8 and left.tasks <= before.tasks + 2:
                    return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"before {before}, after {left}") from None


@pytest.fixture
async def own_engine() -> AsyncIterator[DockerEngine]:
    """An Engine that no other test uses, because it is frozen and ended."""
    with tempfile.TemporaryDirectory(prefix="sermon-") as directory:
        engine = DockerEngine(Path(directory))
        await asyncio.to_thread(engine.start)
        try:
            yield engine
        finally:
            engine.thaw()
            await asyncio.to_thread(engine.stop)


async def test_an_engine_that_freezes_and_one_that_is_started_again(
    own_engine: DockerEngine, python_image: str, tmp_path: Path
) -> None:
    image = await asyncio.to_thread(images.python_base, own_engine)
    async with (
        exporter(tmp_path, own_engine.host, **SETTINGS) as running,
        docker_of(own_engine, image) as docker,
    ):
        for number in range(3):
            await docker.start(f"churn-{number}", "exec sleep 3600")
        await running.until(lambda s: told(s) == 3, "the containers")

        own_engine.freeze()
        frozen = await running.until(lambda s: success(s, "containers") == 0, "its silence")
        assert told(frozen) == 0
        for _ in range(20):
            async with asyncio.timeout(WITHIN):
                text = await running.text(**{"X-Prometheus-Scrape-Timeout-Seconds": "2"})
            samples = samples_of(text)
            assert (success(samples, "containers"), success(samples, "host")) == (0, 1)
            assert ("sermon_uploader_requests_total", "POST", "/api/uploads/sermon") in samples
        assert "does not answer" in running.discovery.error
        own_engine.thaw()
        await running.until(lambda s: told(s) == 3, "the containers again")

        await asyncio.to_thread(own_engine.end)
        ended = await running.until(lambda s: success(s, "containers") == 0, "its end")
        assert told(ended) == 0
        await asyncio.to_thread(own_engine.start_again)
        again = await running.until(lambda s: told(s) == 3, "the containers, ended with it")
        assert states(again) == {"exited": 3}
        await asyncio.to_thread(own_engine.docker, "start", "churn-0")
        await running.until(lambda s: states(s) == {"exited": 2, "running": 1}, "one that runs")
        assert (await running.samples())["container_restarts_total", "churn-0"] == 1


def told(samples: dict[tuple[str, ...], float]) -> int:
    return sum(states(samples).values())


def states(samples: dict[tuple[str, ...], float]) -> dict[str, int]:
    found = [key[-1] for key, value in samples.items() if key[0] == "container_state" and value]
    return {state: found.count(state) for state in set(found)}


@asynccontextmanager
async def counting(app: App, debounce_seconds: float) -> AsyncIterator[Restarts]:
    """Restarts as the exporter counts them; events within ``debounce_seconds`` share one inspection."""
    rhythm = replace(QUICK, debounce=debounce_seconds)
    discovery = Discovery(Engine(app.engine.host), f".*{app.name}", rhythm=rhythm)
    restarts = Restarts()
    discovery.on_event(restarts.take)

    async def observe() -> None:
        seen = -1
        while True:
            seen = await discovery.wait_change(seen)
            restarts.observe(discovery.watched())

    tasks = [asyncio.create_task(one) for one in (discovery.run(), observe())]
    try:
        await until(lambda: discovery.connected, "the Engine")
        yield restarts
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("debounce_seconds", [0.0, 3.0])
async def test_every_restart_counts_once(app: App, debounce_seconds: float) -> None:
    """By hand, by policy and by recreation as compose does it, seen one by one or all at once."""
    async with counting(app, debounce_seconds) as restarts:
        await app.start(run(then="exit 1"), "--restart", "on-failure:3")
        await until(lambda: restarts.restarts(app.name) == 3, "three by policy")
        await app.remove()
        await app.start(run())
        await until(lambda: restarts.restarts(app.name) == 4, "another one of its name")
        for _ in range(3):
            await app.docker("restart", "--time", "0", app.name)
        await recreate(app)
        await until(lambda: restarts.restarts(app.name) == 8, "three by hand, one recreation")
        await app.docker("restart", "--time", "0", app.name)
        await until(lambda: restarts.restarts(app.name) == 9, "one more, and no other")


async def test_what_an_inspection_misses_is_counted(app: App) -> None:
    async with counting(app, 3.0) as restarts:
        await app.start(run())
        await until(lambda: app.name in restarts._lives, "its first inspection")
        await app.docker("restart", "--time", "0", *[app.name] * 4)
        await recreate(app)
        await recreate(app)
        await until(lambda: restarts.restarts(app.name) == 6, "four by hand and two recreations")
        await app.docker("restart", "--time", "0", app.name)
        await until(lambda: restarts.restarts(app.name) == 7, "one more")


async def recreate(app: App) -> None:
    """As compose does it: created under a name of its own, the old one ended and removed, renamed, started."""
    old = (await app.docker("inspect", "--format", "{{.Id}}", app.name)).strip()
    away = f"{old[:12]}_{app.name}"
    await app.docker(*("create", "--network", "none", "--name", away, app.image, "sh", "-c", run()))
    await app.docker("stop", "--time", "0", app.name)
    await app.docker("rm", app.name)
    await app.docker("rename", away, app.name)
    await app.docker("start", app.name)
