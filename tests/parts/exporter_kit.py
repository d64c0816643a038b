"""What the exporter's tests share: a running exporter, its answer as numbers, and waiting for a number."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter.app import Exporter
from exporter.settings import ExporterSettings
from target.discovery import Discovery, Rhythm
from target.engine import Engine
from target.engine_stream import EngineStream
from tests.real.daemons import Binaries

WITHIN = 60.0
"""Seconds. Ends a broken run; measures nothing."""
QUICK = Rhythm(relist=2.0, ping=0.5, debounce=0.02, retry_least=0.05, retry_most=0.2, answer=2.0)
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there."""

# What node_exporter's and cAdvisor's own names cost; nothing else may be found.
_ALLOWED_FINDING = re.compile(
    r"node_memory_\w+ metric names should be written in 'snake_case' not 'camelCase'"
    r"|container_memory_failcnt .*"
)

Samples = dict[tuple[str, ...], float]


class Running:
    """An exporter at ``url``."""

    def __init__(self, url: str, session: aiohttp.ClientSession, discovery: Discovery) -> None:
        self.url = url
        self.session = session
        self.discovery = discovery

    async def text(self, **headers: str) -> str:
        async with self.session.get(self.url + "/metrics", headers=headers) as answer:
            assert answer.status == 200
            return await answer.text()

    async def samples(self) -> Samples:
        """Value by sample name and then label values in the order of their names."""
        return samples_of(await self.text())

    async def until(
        self,
        condition: Callable[[Samples], Any],
        what: str,
        *,
        within: float = WITHIN,
        pause: float = 0.02,
    ) -> Samples:
        """Scrape until ``condition`` holds of the samples; those."""
        samples: Samples = {}
        try:
            async with asyncio.timeout(within):
                while not condition(samples := await self.samples()):  # noqa: ASYNC110 - it lies behind HTTP
                    await asyncio.sleep(pause)
        except TimeoutError:
            ours = {key: value for key, value in samples.items() if key[0].startswith("sermon")}
            told = {key: value for key, value in ours.items() if value}
            raise AssertionError(f"waited for {what}; {told}") from None
        return samples


def samples_of(text: str) -> Samples:
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def success(samples: Samples, collector: str) -> float:
    return samples["sermon_monitor_collector_success", collector]


async def new_findings(binaries: Binaries, text: str) -> list[str]:
    """What the real ``promtool check metrics`` finds in an exposition, beyond the list that is allowed."""
    process = await asyncio.create_subprocess_exec(
        *(str(binaries.promtool), "check", "metrics"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(text.encode())
    lines = [line for line in output.decode().splitlines() if line]
    assert lines, "not even the findings that are allowed: did it run?"
    return [line for line in lines if not _ALLOWED_FINDING.fullmatch(line)]


@asynccontextmanager
async def exporter(state_dir: Path, host: str, **settings: str) -> AsyncIterator[Running]:
    """An exporter for the Engine at ``host``; ``settings`` as in the environment."""
    values = {
        "APP_URL": NOWHERE,
        "MINIO_URL": NOWHERE,
        "STATE_DIR": str(state_dir / "state"),
        "BACKUP_DIR": str(state_dir / "backups"),
        "HEALTH_CHECK_INTERVAL": "1s",
        **settings,
    }
    parsed = ExporterSettings.model_validate(values)
    engine = Engine(host, timeout=2.0)
    stream = EngineStream(host, answer_seconds=2.0)
    discovery = Discovery(engine, parsed.app_containers, stream=stream, rhythm=QUICK)
    app = Exporter(parsed, engine, discovery, CollectorRegistry())
    await app.start()
    following = asyncio.create_task(discovery.run())
    try:
        async with (
            TestServer(app.application()) as server,
            aiohttp.ClientSession() as session,
        ):
            yield Running(str(server.make_url("")).rstrip("/"), session, discovery)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await app.stop()
        engine.close()


class Relay:
    """A Unix socket between us and an Engine, whose connections can be cut and which can fall silent."""

    def __init__(self, path: Path, engine_socket: str | os.PathLike[str]) -> None:
        self.host = f"unix://{path}"
        self._path = path
        self._engine_socket = str(engine_socket)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None
        self.flowing = asyncio.Event()
        """While it is not set, what the Engine says goes no further, and nobody is told."""
        self.flowing.set()

    async def start(self, *, silent: bool = False) -> None:
        """Accept; ``silent`` never answers."""
        self._path.unlink(missing_ok=True)
        serve = self._swallow if silent else self._relay
        self._server = await asyncio.start_unix_server(serve, str(self._path))

    async def stop(self) -> None:
        """Cut every connection and accept no more."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writers.clear()
        self._path.unlink(missing_ok=True)

    async def _swallow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._note()
        while await reader.read(65536):
            pass

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note()
        try:
            there, back = await asyncio.open_unix_connection(self._engine_socket)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        await asyncio.gather(_copy(reader, back), _copy(there, writer, self.flowing))

    def _note(self) -> None:
        if (task := asyncio.current_task()) is not None:
            self._tasks.add(task)


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    flowing: asyncio.Event | None = None,
) -> None:
    try:
        while data := await reader.read(65536):
            if flowing is not None:
                await flowing.wait()
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # cut: that is what the relay is for
    finally:
        writer.close()
