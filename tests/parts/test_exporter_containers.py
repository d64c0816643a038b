"""What the exporter says of real containers on a real Engine: states, usage, restarts, kills; and of a whole project."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from target.engine import COMPOSE_PROJECT
from tests.conftest import AppImages
from tests.parts.exporter_app import LAST, App, ended, run, state_of, values_of
from tests.parts.exporter_kit import exporter, new_findings, success
from tests.real.daemons import Binaries
from tests.real.engine import DockerEngine
from tests.real.processes import fetch
from tests.real.project import APP, Project

pytestmark = pytest.mark.engine


async def test_what_is_said_of_a_container(
    app: App, watching: Callable[..., Any], binaries: Binaries
) -> None:
    async with watching() as running:
        await running.until(lambda s: success(s, "containers") == 1, "the Engine")
        await app.start("trap 'exit 3' TERM; while true; do sleep 0.05; done", "--memory", "64m")
        samples = await running.until(
            lambda s: values_of(s, "container_cpu_usage_seconds_total", app.name), "its usage"
        )
        if samples["sermon_monitor_memory_controller_available",]:
            assert values_of(samples, "container_spec_memory_limit_bytes", app.name) == [64 * 2**20]
            assert values_of(samples, "container_memory_usage_bytes", app.name)[0] > 0
        assert values_of(samples, "container_health_state", app.name) == [-1]
        assert state_of(samples, app.name, "running") == 1
        assert state_of(samples, app.name, "exited") == 0
        assert values_of(samples, "container_oom_events_total", app.name) == [0]
        assert samples["container_restarts_total", app.name] == 0
        assert await new_findings(binaries, await running.text()) == []
        await app.docker("stop", "--time", "30", app.name)
        samples = await running.until(
            lambda s: values_of(s, "container_exit_code", app.name) == [3], "its end"
        )
        assert not values_of(samples, "container_memory_usage_bytes", app.name)
        assert not values_of(samples, "container_last_seen", app.name)
        await app.remove()
        await running.until(
            lambda s: not values_of(s, "container_exit_code", app.name), "its removal"
        )


async def test_a_crash_loop_is_counted(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await running.until(lambda s: success(s, "containers") == 1, "the Engine")
        await app.start(run(then="exit 1"), "--restart", "on-failure:3")
        samples = await running.until(
            lambda s: s.get(("container_restarts_total", app.name)) == 3, "three restarts"
        )
        assert (await running.until(ended(4), "four runs"))[LAST] == 4
        assert samples["container_restarts_total", app.name] == 3


async def test_an_out_of_memory_kill_is_counted(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        samples = await running.until(lambda s: success(s, "containers") == 1, "the Engine")
        if not samples["sermon_monitor_memory_controller_available",]:
            pytest.skip("this machine's kernel has no memory controller: cgroup_enable=memory")
        await app.start("sleep 1; python3 -c \"'x' * 200_000_000\"", "--memory", "32m")
        await running.until(
            lambda s: values_of(s, "container_oom_events_total", app.name) == [1], "the kill"
        )


async def test_our_own_containers_are_not_watched(app: App, watching: Callable[..., Any]) -> None:
    async with watching() as running:
        await app.start(run(), "--label", f"{COMPOSE_PROJECT}=sermon-monitor")
        await running.until(lambda _: running.discovery.containers, "any container")
        samples = await running.until(lambda s: success(s, "containers") == 1, "the Engine")
        assert app.name in [one.name for one in running.discovery.containers]
        assert not values_of(samples, "container_exit_code", app.name)
        assert samples["sermon_monitor_log_streams", "engine"] == 0


@pytest.fixture
def project(engine: DockerEngine, app_images: AppImages, tmp_path: Path) -> Iterator[Project]:
    project = Project(engine, tmp_path / "project", app_images.v1.tag)
    yield project
    project.down()


async def test_a_compose_project(
    engine: DockerEngine, project: Project, app_images: AppImages, tmp_path: Path
) -> None:
    """The whole, on the stand-in application: probes, requests, health and version."""
    settings = {"APP_URL": project.app_url, "MINIO_URL": project.minio_url}
    async with exporter(tmp_path, engine.host, **settings) as running:
        await asyncio.to_thread(project.up)
        fetched = await asyncio.to_thread(
            fetch, project.app_url + "/api/uploads/sermon?fail=1", "POST", b"{}"
        )
        assert fetched[0] == 500
        samples = await running.until(
            lambda s: s["sermon_uploader_upload_failures_total",] == 1, "the failed upload"
        )
        assert samples["sermon_uploader_uploads_total",] == 1
        await running.until(
            lambda s: s["sermon_uploader_minio_connection_errors_total",] == 1, "its log lines"
        )
        samples = await running.until(lambda s: s.get(("sermon_uploader_up",)) == 1, "a probe")
        revision = app_images.v1.revision
        builds = [key for key in samples if key[0] == "sermon_uploader_build_info"]
        assert builds == [("sermon_uploader_build_info", app_images.v1.tag, revision, "")]
        await running.until(
            lambda s: values_of(s, "container_health_state", APP) == [1], "its health"
        )
        assert samples["sermon_uploader_deployments_total",] == 0
