"""The usage of real containers: against the kernel's own files, against the Engine's inspection and stats."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.cgroups import Tree
from tests.parts.exporter_app import App, values_of
from tests.parts.exporter_kit import Running, Samples, exporter, new_findings, success
from tests.real.daemons import Binaries
from tests.real.engine import DockerEngine

pytestmark = pytest.mark.engine
IDLE = "exec sleep 3600"
BUSY = "while :; do :; done"
CPU = "container_cpu_usage_seconds_total"
MEMORY = "container_memory_usage_bytes"
TREE = Tree(Path("/sys/fs/cgroup"), Path("/proc"))


async def pid_of(app: App) -> int:
    return int(await app.docker("inspect", "--format", "{{.State.Pid}}", app.name))


async def used(running: Running, app: App) -> Samples:
    """Samples in which the container has its usage."""
    return await running.until(lambda s: values_of(s, CPU, app.name), "its usage")


def one(samples: Samples, name: str, app: App) -> float:
    (value,) = values_of(samples, name, app.name)
    return value


async def test_what_the_kernel_says(
    app: App, watching: Callable[..., Any], binaries: Binaries
) -> None:
    async with watching() as running:
        identity = await app.start(IDLE, "--memory", "64m", "--cpus", "0.5", "--pids-limit", "50")
        samples = await used(running, app)
        group = TREE.find(await pid_of(app), identity)
        names = {1: ("cpuacct.usage", 1e9), 2: ("cpu.stat", 1e6)}
        name, factor = names[group.version]
        content = (group.directories["cpuacct"] / name).read_text().split()
        kernel = int(content[0 if group.version == 1 else 1]) / factor
        assert sum(values_of(samples, CPU, app.name)) == pytest.approx(kernel, abs=0.5)
        assert {key[2] for key in samples if key[0] == CPU and app.name in key} == {group.path}
        assert one(samples, "container_threads", app) == 1
        assert one(samples, "container_threads_max", app) == 50
        assert one(samples, "container_spec_cpu_quota", app) == 50_000
        assert one(samples, "container_spec_cpu_period", app) == 100_000
        assert one(samples, "container_cpu_cfs_periods_total", app) >= 0
        assert samples["sermon_monitor_container_usage_source", "cgroup"] == 1
        assert len([key for key in samples if app.name in key]) >= 30
        assert not await new_findings(binaries, await running.text())


async def test_what_the_engine_says(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await app.start(IDLE, "--memory", "64m", "--memory-reservation", "32m")
        samples = await used(running, app)
        if not samples["sermon_monitor_memory_controller_available",]:
            pytest.skip("this machine's kernel has no memory controller: cgroup_enable=memory")
        told = json.loads(await app.docker("inspect", app.name))[0]
        limit = told["HostConfig"]["Memory"]
        assert one(samples, "container_spec_memory_limit_bytes", app) == limit
        stats = json.loads(
            await app.docker("stats", "--no-stream", "--format", "{{json .}}", app.name)
        )
        number, unit = (
            stats["MemUsage"].split(" / ")[0][:-3],
            stats["MemUsage"].split(" / ")[0][-3:],
        )
        theirs = float(number) * {"KiB": 2**10, "MiB": 2**20}[unit]
        ours = one(await running.samples(), "container_memory_working_set_bytes", app)
        assert ours == pytest.approx(theirs, rel=0.5, abs=2**20)
        assert one(samples, MEMORY, app) <= one(samples, "container_memory_max_usage_bytes", app)


async def test_an_update_of_the_limits(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await app.start(IDLE, "--cpu-shares", "512")
        samples = await used(running, app)
        assert not values_of(samples, "container_spec_cpu_quota", app.name)
        assert not values_of(samples, "container_cpu_cfs_periods_total", app.name)
        await app.docker("update", "--cpus", "0.25", app.name)
        samples = await running.until(
            lambda s: values_of(s, "container_spec_cpu_quota", app.name) == [25_000], "the quota"
        )
        assert values_of(samples, "container_cpu_cfs_periods_total", app.name)


async def test_a_quota_that_holds_it_back(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await app.start(BUSY, "--cpus", "0.1")
        name = "container_cpu_cfs_throttled_seconds_total"
        samples = await running.until(
            lambda s: sum(values_of(s, name, app.name)) > 0.1, "throttling"
        )
        throttled = one(samples, "container_cpu_cfs_throttled_periods_total", app)
        assert 0 < throttled <= one(samples, "container_cpu_cfs_periods_total", app)


async def test_a_restart_begins_a_new_life(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        identity = await app.start(BUSY)
        before = await running.until(lambda s: sum(values_of(s, CPU, app.name)) > 1, "some CPU")
        started = one(before, "container_start_time_seconds", app)
        await app.docker("restart", "--time", "0", app.name)
        after = await running.until(
            lambda s: (
                values_of(s, "container_start_time_seconds", app.name) not in ([], [started])
                and values_of(s, CPU, app.name)
            ),
            "its second life",
        )
        assert sum(values_of(after, CPU, app.name)) < sum(values_of(before, CPU, app.name))
        assert one(after, "container_creation_time_seconds", app) == one(
            before, "container_creation_time_seconds", app
        )
        assert TREE.find(await pid_of(app), identity)
        assert samples_sum(after, "sermon_monitor_containers_unreadable") == 0


async def test_a_pause_keeps_its_usage(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await app.start(IDLE)
        await used(running, app)
        await app.docker("pause", app.name)
        samples = await running.until(
            lambda s: s.get(_state(s, app, "paused"), 0) == 1, "the pause"
        )
        assert values_of(samples, CPU, app.name)
        await app.docker("unpause", app.name)


async def test_a_removal_ends_every_series(app: App, watching: Callable[..., Any]) -> None:
    """Also in the moment in which the group is gone and discovery has not heard of it yet."""
    async with watching() as running:
        await app.start(IDLE)
        await used(running, app)
        await app.remove()
        gone = await running.samples()
        assert not values_of(gone, CPU, app.name)
        assert not values_of(gone, "container_last_seen", app.name)
        await running.until(lambda s: not values_of(s, "container_state", app.name), "its end")
        assert success(await running.samples(), "containers") == 1


async def test_the_hosts_network(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await app.docker(
            *("run", "--detach", "--network", "host", "--name", app.name),
            *(app.image, "sh", "-c", IDLE),
        )
        samples = await used(running, app)
        interfaces = {
            key[3]
            for key in samples
            if key[0] == "container_network_receive_bytes_total" and app.name in key
        }
        assert interfaces <= _interfaces()


async def test_where_no_group_can_be_read_the_engine_is_asked(
    app: App, engine: DockerEngine, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    settings = {"CGROUP_ROOT": str(empty), "APP_CONTAINERS": app.name, "APP_SERVICE": app.name}
    async with exporter(tmp_path, engine.host, **settings) as running:
        samples = await running.until(lambda s: success(s, "containers") == 1, "the Engine")
        assert samples["sermon_monitor_container_usage_source", "engine"] == 0
        await app.start(BUSY, "--memory", "64m")
        samples = await used(running, app)
        assert samples["sermon_monitor_container_usage_source", "engine"] == 1
        assert samples["sermon_monitor_container_usage_source", "cgroup"] == 0
        assert samples["sermon_monitor_containers_unreadable", "missing"] == 1
        assert ("sermon_monitor_memory_controller_available",) not in samples
        if TREE.memory_available():
            assert one(samples, MEMORY, app) > 0
            assert one(samples, "container_memory_working_set_bytes", app) > 0
        assert one(samples, "container_threads", app) >= 1
        await app.docker("stop", "--time", "0", app.name)
        await running.until(lambda s: not values_of(s, CPU, app.name), "its end")


async def test_a_scrape_while_containers_come_and_go(
    app: App, watching: Callable[..., Any]
) -> None:
    """No scrape fails, and none tells of usage that is nobody's."""
    async with watching() as running:
        await running.until(lambda s: success(s, "containers") == 1, "the Engine")

        async def churn() -> None:
            for _ in range(3):
                await app.start(IDLE)
                await app.remove()

        changing = asyncio.create_task(churn())
        while not changing.done():
            assert success(await running.samples(), "containers") == 1
        await changing
        samples = await running.until(
            lambda s: not values_of(s, "container_state", app.name), "the end"
        )
        assert not values_of(samples, CPU, app.name)


def samples_sum(samples: Samples, name: str) -> float:
    return sum(value for key, value in samples.items() if key[0] == name)


def _interfaces() -> set[str]:
    """This machine's, without those that are left out."""
    here = {path.name for path in Path("/sys/class/net").iterdir()}
    return {one for one in here if not one.startswith(("lo", "veth", "docker"))}


def _state(samples: Samples, app: App, state: str) -> tuple[str, ...]:
    found = [key for key in samples if key[0] == "container_state" and {app.name, state} <= {*key}]
    return found[0] if found else ("",)
