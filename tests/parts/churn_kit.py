"""Containers that come and go while they are scraped: what must never go wrong meanwhile, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from target.engine_frames import Event
from tests.parts.exporter_kit import WITHIN, Running
from tests.real.engine import DockerEngine

NAME = re.compile(r'^container_state\{[^}]*name="(churn-\d+)"', re.MULTILINE)
ID = re.compile(r'^container_[a-z_]+\{[^}]*[/-]([0-9a-f]{64})[".]', re.MULTILINE)
FAILED = re.compile(r'^sermon_monitor_collector_success\{collector="(\w+)"\} 0', re.MULTILINE)


@dataclass
class Left:
    """What this process holds."""

    descriptors: int
    tasks: int
    objects: int
    resident_bytes: int

    @staticmethod
    def now() -> Left:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Left(
            descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - one descriptor less
            tasks=len(asyncio.all_tasks()),
            objects=len(gc.get_objects()),
            resident_bytes=pages * os.sysconf("SC_PAGESIZE"),
        )


@dataclass
class Figures:
    """What a churn came to. ``wrong`` should be empty."""

    started: int = 0
    removed: int = 0
    scrapes: int = 0
    most_seen: int = 0
    slowest_scrape_seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Docker:
    """The few calls that a churn needs, on the Engine's own API, eight at a time."""

    def __init__(self, engine: DockerEngine, image: str) -> None:
        self._image = image
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(engine.socket), limit=8)
        )

    async def close(self) -> None:
        await self._session.close()

    async def start(self, name: str, script: str) -> str:
        """Create and start; the id."""
        body = {
            "Image": self._image,
            "Cmd": ["sh", "-c", script],
            "HostConfig": {"NetworkMode": "none"},
        }
        made = await self._post(f"/containers/create?name={name}", body)
        await self._post(f"/containers/{made['Id']}/start", {})
        return str(made["Id"])

    async def remove(self, container_id: str) -> None:
        url = f"http://engine/containers/{container_id}?force=1"
        async with self._session.delete(url) as answer:
            assert answer.status in (204, 404), await answer.text()

    async def _post(self, path: str, body: object) -> dict[str, str]:
        async with self._session.post("http://engine" + path, json=body) as answer:
            text = await answer.text()
            assert answer.status in (201, 204), text
            return dict(json.loads(text)) if text else {}


@asynccontextmanager
async def docker_of(engine: DockerEngine, image: str) -> AsyncIterator[Docker]:
    docker = Docker(engine, image)
    try:
        yield docker
    finally:
        await docker.close()


class Churn:
    """Scrapes all the while; judges each scrape by what the Engine had told before it began."""

    def __init__(self, running: Running, docker: Docker, pause_seconds: float) -> None:
        self.figures = Figures()
        self._running = running
        self._docker = docker
        self._pause = pause_seconds
        self._gone: set[str] = set()
        self._alive: dict[str, str] = {}
        running.discovery.on_event(self._event)

    def _event(self, event: Event) -> None:
        if event.action == "destroy":
            self._gone.add(event.container_id)

    async def run(self, containers: int, seconds: float) -> None:
        """``containers`` at a time; each round replaces a third of them, until ``seconds`` are over."""
        scraping = asyncio.create_task(self._scrape())
        try:
            await self._fill(containers)
            end, number = time.monotonic() + seconds, 0
            while time.monotonic() < end and not scraping.done():
                names = [f"churn-{(number + one) % containers}" for one in range(containers // 3)]
                number += len(names)
                await asyncio.gather(*(self._replace(name) for name in names))
            await self._seen(containers)
            await asyncio.gather(*(self._remove(name) for name in list(self._alive)))
            await self._seen(0)
        finally:
            scraping.cancel()
            done = await asyncio.gather(scraping, return_exceptions=True)
        if isinstance(done[0], Exception):
            raise done[0]

    async def _fill(self, containers: int) -> None:
        await asyncio.gather(*(self._start(f"churn-{one}") for one in range(containers)))
        await self._seen(containers)

    async def _replace(self, name: str) -> None:
        await self._remove(name)
        await self._start(name)

    async def _start(self, name: str) -> None:
        # Every third ends by itself at once.
        script = "exit 1" if self.figures.started % 3 == 0 else "exec sleep 3600"
        self.figures.started += 1
        self._alive[name] = await self._docker.start(name, script)

    async def _remove(self, name: str) -> None:
        await self._docker.remove(self._alive.pop(name))
        self.figures.removed += 1

    async def _seen(self, containers: int) -> None:
        async with asyncio.timeout(WITHIN * 3):
            while len(set(NAME.findall(await self._running.text()))) != containers:  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.1)

    async def _scrape(self) -> None:
        while True:
            gone = set(self._gone)
            began = time.monotonic()
            text = await self._running.text()
            self._judge(text, gone, time.monotonic() - began)
            await asyncio.sleep(self._pause)

    def _judge(self, text: str, gone: set[str], seconds: float) -> None:
        figures = self.figures
        figures.scrapes += 1
        figures.slowest_scrape_seconds = max(figures.slowest_scrape_seconds, seconds)
        figures.most_seen = max(figures.most_seen, len(set(NAME.findall(text))))
        if failed := FAILED.findall(text):
            figures.wrong.append(f"scrape {figures.scrapes}: {sorted(failed)} failed")
        if back := set(ID.findall(text)) & gone:
            figures.wrong.append(f"scrape {figures.scrapes}: {len(back)} removed ones are told")
