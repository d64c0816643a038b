"""The sizes of writable layers: of real containers, and from an Engine that refuses or answers nonsense."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.collectors import container_sizes
from exporter.collectors.container_sizes import ContainerSizesCollector, root_dir
from exporter.context import Context
from exporter.exposition import find
from exporter.scrape import CollectorError
from exporter.settings import ExporterSettings
from target.engine import EngineError
from tests.parts.exporter_app import App, values_of
from tests.parts.exporter_kit import success
from tests.parts.scripted_engine import ScriptedEngine
from tests.parts.test_discovery import PATIENT, discovering, until

NAMES = ("usage_bytes", "limit_bytes", "inodes_free", "inodes_total")


@pytest.mark.engine
async def test_of_a_real_container(app: App, watching: Callable[..., Any]) -> None:
    key = await app.start("head -c 5000000 /dev/zero >/written; exec sleep 3600")
    written = (
        "exec",
        app.name,
        "sh",
        "-c",
        "while [ $(stat -c %s /written) -lt 5000000 ]; do :; done",
    )
    await app.docker(*written)
    async with watching() as running:
        samples = await running.until(
            lambda s: values_of(s, "container_fs_usage_bytes", app.name), "its size"
        )
        assert success(samples, "container_sizes") == 1
        assert samples["sermon_monitor_container_sizes_age_seconds",] >= 0
        (usage,) = values_of(samples, "container_fs_usage_bytes", app.name)
        assert 5_000_000 <= usage < 6_000_000
        room = os.statvfs(app.engine.directory)
        total = room.f_blocks * room.f_frsize
        assert values_of(samples, "container_fs_limit_bytes", app.name) == [total]
        assert values_of(samples, "container_fs_inodes_total", app.name) == [room.f_files]
        # The same labels as the other collectors', so that a dashboard can join them.
        labels = {key[2:] for key in samples if key[0] == "container_fs_limit_bytes"}
        others = {key[1:] for key in samples if key[0] == "container_last_seen"}
        assert labels == others
        assert any(key in label for label in next(iter(labels)))
        await app.docker("stop", "--time", "0", app.name)
        await running.until(
            lambda s: not values_of(s, "container_fs_usage_bytes", app.name), "its end"
        )


async def test_an_engine_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_sizes, "LEAST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(container_sizes, "PAUSE_FOR_EACH_SECOND", 0.0)
    settings = ExporterSettings.model_validate({})
    scripted = ScriptedEngine(tmp_path / "engine.sock")
    scripted.add("a")
    scripted.raw["/info"] = b"{}"
    async with scripted.serving(), discovering(scripted, PATIENT) as discovery:
        sizes = ContainerSizesCollector(Context(settings, discovery.engine, discovery))
        assert "not asked" in problem(sizes)
        task = asyncio.create_task(sizes.run())
        try:
            await until(lambda: "DockerRootDir" in problem(sizes), "the first refusal")
            scripted.raw["/info"] = json.dumps({"DockerRootDir": str(tmp_path)}).encode()
            rows = [{"Id": "a", "State": "running", "SizeRw": 7}]
            scripted.raw["/containers/json"] = json.dumps(rows).encode()
            await until(lambda: not problem(sizes), "a size")
            assert [b'name="a"' in told(sizes, name) for name in NAMES] == [True] * 4
            assert told(sizes, "usage_bytes").endswith(b" 7\n")
            scripted.raw["/containers/json"] = b"no"
            await until(lambda: "no JSON" in problem(sizes), "nonsense")
            assert told(sizes, "usage_bytes").endswith(b" 7\n")
            assert told(sizes, "age_seconds", "sermon_monitor_container_sizes_")
            scripted.raw["/info"] = b'{"DockerRootDir": "/no/such/directory"}'
            scripted.raw["/containers/json"] = json.dumps(rows).encode()
            scripted.cut()
            await until(lambda: "/no/such/directory" in problem(sizes), "what ROOTFS lacks")
            assert told(sizes, "usage_bytes").endswith(b" 7\n")
            assert not told(sizes, "limit_bytes")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def problem(sizes: ContainerSizesCollector) -> str:
    try:
        sizes.begin()()
    except CollectorError as error:
        return str(error)
    return ""


def told(sizes: ContainerSizesCollector, name: str, beginning: str = "container_fs_") -> bytes:
    try:
        samples = tuple(sizes.begin()())
    except CollectorError as error:
        samples = error.partial
    return find(samples, beginning + name)


@pytest.mark.parametrize("told", [None, 5, "", "relative", "/a\0b", ["/"]])
def test_no_directory(told: object) -> None:
    with pytest.raises(EngineError, match="DockerRootDir"):
        root_dir({"DockerRootDir": told})
