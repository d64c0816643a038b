"""The exporter over real HTTP, with no Engine, with a hung one, and with applications of every kind."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.collectors.probes import ProbesCollector
from exporter.context import Context
from exporter.exposition import find
from exporter.scrape import CollectorError
from exporter.settings import ExporterSettings
from target.discovery import Discovery
from target.engine import Engine
from tests.parts.exporter_kit import (
    Relay,
    Samples,
    exporter,
    new_findings,
    samples_of,
    success,
)
from tests.real.daemons import Binaries
from tests.real.processes import free_port

PROBE = "sermon_uploader_probe"
PHASE = f"{PROBE}_phase_duration_seconds"


def nothing(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/no.sock"


async def test_with_nothing_there_it_says_so(tmp_path: Path) -> None:
    async with exporter(tmp_path, nothing(tmp_path)) as running:
        samples = await running.until(lambda s: ("sermon_uploader_up",) in s, "a first probe")
        assert samples["sermon_uploader_up",] == 0
        assert samples["sermon_uploader_minio_up",] == 0
        assert success(samples, "containers") == 0
        assert success(samples, "access_log") == 0
        assert success(samples, "probes") == 1
        assert success(samples, "host") == 1
        assert samples["sermon_uploader_requests_total", "POST", "/api/uploads/sermon"] == 0
        assert samples["sermon_uploader_uploads_total",] == 0
        assert not [key for key in samples if key[0].startswith("container_")]
        assert not [key for key in samples if key[0] == "sermon_uploader_build_info"]
        assert not [key for key in samples if key[0] == "sermon_uploader_backup_age_seconds"]


async def test_promtool_finds_nothing_new(tmp_path: Path, binaries: Binaries) -> None:
    async with exporter(tmp_path, nothing(tmp_path)) as running:
        await running.until(lambda s: ("sermon_uploader_up",) in s, "a first probe")
        assert await new_findings(binaries, await running.text()) == []


async def test_every_family_has_help_and_nothing_a_timestamp(tmp_path: Path) -> None:
    async with exporter(tmp_path, nothing(tmp_path)) as running:
        await running.until(lambda s: ("sermon_uploader_up",) in s, "a first probe")
        text = await running.text()
    typed = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(typed) == len(set(typed))
    assert re.findall(r"^# HELP (\S+) .", text, re.MULTILINE) == typed
    assert "_created" not in text
    for line in text.splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r"[a-zA-Z_:][\w:]*(\{.*\})? [^ ]+", line), line


async def test_formats_and_compression(tmp_path: Path) -> None:
    async with exporter(tmp_path, nothing(tmp_path)) as running:
        text = await running.text(Accept="application/openmetrics-text;version=1.0.0")
        assert text.endswith("# EOF\n")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(running.url + "/metrics", headers={"Accept-Encoding": "gzip"}) as answer,
        ):
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert samples_of(gzip.decompress(await answer.read()).decode())


async def test_the_other_pages(tmp_path: Path) -> None:
    async with exporter(tmp_path, nothing(tmp_path)) as running:
        async with running.session.get(running.url + "/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with running.session.get(running.url + "/") as answer:
            assert 'href="/metrics"' in await answer.text()
        async with running.session.post(running.url + "/metrics") as answer:
            assert answer.status == 405


async def test_a_hung_engine_hangs_nothing(tmp_path: Path) -> None:
    """It accepts and never answers: the scrape does, and no thread is left behind for each try."""
    relay = Relay(tmp_path / "hung.sock", "")
    await relay.start(silent=True)
    try:
        async with exporter(tmp_path, relay.host) as running:
            await running.until(lambda s: ("sermon_uploader_up",) in s, "a first probe")
            threads = threading.active_count()
            for _ in range(30):
                async with asyncio.timeout(5):
                    text = await running.text(**{"X-Prometheus-Scrape-Timeout-Seconds": "2"})
                assert success(samples_of(text), "containers") == 0
                await asyncio.sleep(0.05)
            assert "does not answer" in running.discovery.error
            assert threading.active_count() <= threads + 2
    finally:
        await relay.stop()


@asynccontextmanager
async def server(handler: web.RequestHandler | object) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)  # type: ignore[arg-type]
    async with TestServer(app) as running:
        yield str(running.make_url("")).rstrip("/")


async def no_content(_: web.Request) -> web.Response:
    return web.Response(status=204)


async def stalled_head(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response()


async def test_an_application_that_fails_and_recovers(tmp_path: Path) -> None:
    broken = True

    async def health(request: web.Request) -> web.Response:
        good = not broken or request.path == "/minio/health/live"
        return web.Response(status=200 if good else 503)

    async with server(health) as url:
        settings = {"APP_URL": url, "MINIO_URL": url}
        async with exporter(tmp_path, nothing(tmp_path), **settings) as running:
            samples = await running.until(
                lambda s: s.get(("sermon_uploader_consecutive_probe_failures", "app"), 0) >= 2,
                "two failed probes",
            )
            assert samples["sermon_uploader_up",] == 0
            assert samples["sermon_uploader_minio_up",] == 1
            assert samples["sermon_uploader_health_status", "minio_cluster"] == 0
            assert samples["sermon_uploader_probe_failures_total", "app", "status"] >= 2
            assert samples["sermon_uploader_probe_failures_total", "app", "timeout"] == 0
            assert samples["sermon_uploader_probe_http_status_code", "app"] == 503
            broken = False
            samples = await running.until(lambda s: s["sermon_uploader_up",] == 1, "its recovery")
            assert samples["sermon_uploader_consecutive_probe_failures", "app"] == 0


async def test_a_slow_application_holds_no_scrape(tmp_path: Path) -> None:
    async with server(stalled_head) as url:
        settings = {"APP_URL": url, "HEALTH_CHECK_INTERVAL": "10s"}
        async with exporter(tmp_path, nothing(tmp_path), **settings) as running:
            samples = await running.until(
                lambda s: ("sermon_uploader_minio_up",) in s, "the probe of what answers"
            )
            assert ("sermon_uploader_up",) not in samples
            assert success(samples, "probes") == 1


async def test_the_last_probe_in_its_parts(tmp_path: Path) -> None:
    async def health(request: web.Request) -> web.Response:
        if request.path == "/api/health":
            return web.json_response({"status": "sick"})
        return web.Response(status=301, headers={"Location": "http://else.where/"})

    def told(samples: Samples) -> bool:
        """Of both, the last probe was answered; on a busy machine not every one is."""
        codes = [samples.get((f"{PROBE}_http_status_code", one)) for one in ("app", "minio")]
        return codes == [200, 301]

    async with server(health) as url:
        settings = {"APP_URL": url, "APP_HEALTH_BODY": '"status":"healthy"', "MINIO_URL": url}
        async with exporter(tmp_path, nothing(tmp_path), **settings) as running:
            samples = await running.until(told, "answers to both")
    assert samples["sermon_uploader_up",] == samples["sermon_uploader_minio_up",] == 0
    assert samples[f"{PROBE}_failures_total", "app", "body"] >= 1
    assert samples[f"{PROBE}_failures_total", "minio", "status"] >= 1
    phases = [key[2] for key in samples if key[:2] == (PHASE, "app")]
    assert phases == ["connect", "first_byte", "body"]
    whole = samples[f"{PROBE}_duration_seconds", "app"]
    assert sum(samples[PHASE, "app", one] for one in phases) <= whole


async def test_a_hung_minio_holds_up_nothing_else(tmp_path: Path) -> None:
    asked = 0

    async def health(request: web.Request) -> web.Response:
        nonlocal asked
        if request.path.startswith("/minio"):
            asked += 1
            await asyncio.sleep(3600)
        return web.Response()

    async with server(health) as url:
        settings = {"APP_URL": url, "MINIO_URL": url}
        async with exporter(tmp_path, nothing(tmp_path), **settings) as running:
            samples = await running.until(
                lambda s: (
                    s[f"{PROBE}_failures_total", "minio", "timeout"] >= 2
                    and s["sermon_uploader_up",] == 1
                ),
                "two probes that ended at their deadline, and one that went well",
            )
            assert samples["sermon_uploader_minio_up",] == 0
            assert samples[f"{PROBE}_http_status_code", "minio"] == 0
            # One at a time of each: those that have ended, and one of each that may be out now.
            before = asked
            ended = sum(
                value
                for key, value in (await running.samples()).items()
                if key[0] == f"{PROBE}_failures_total" and key[1] != "app"
            )
            assert before <= ended + 2


async def test_a_port_that_opens_later_is_picked_up(tmp_path: Path) -> None:
    port = free_port()
    settings = {"APP_URL": f"http://127.0.0.1:{port}"}
    async with exporter(tmp_path, nothing(tmp_path), **settings) as running:
        await running.until(lambda s: s.get(("sermon_uploader_up",)) == 0, "a failed probe")
        app = web.Application()
        app.router.add_get("/api/health", no_content)
        async with TestServer(app, port=port):
            await running.until(lambda s: s["sermon_uploader_up",] == 1, "the opened port")


async def test_the_age_of_the_newest_backup(tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    backups.mkdir()
    async with exporter(tmp_path, nothing(tmp_path)) as running:
        assert ("sermon_uploader_backup_age_seconds",) not in await running.samples()
        for name, age in (("old", 7200), ("new", 3600), (".unfinished", 1)):
            (backups / name).write_text("x")
            os.utime(backups / name, (time.time() - age, time.time() - age))
        samples = await running.samples()
        assert samples["sermon_uploader_backup_age_seconds",] == pytest.approx(3600, abs=60)
        backups.rename(tmp_path / "elsewhere")
        assert ("sermon_uploader_backup_age_seconds",) not in await running.samples()


def test_a_dead_probe_loop_is_a_failed_collector(tmp_path: Path) -> None:
    settings = ExporterSettings.model_validate({"HEALTH_CHECK_INTERVAL": "1s"})
    engine = Engine(nothing(tmp_path))
    probes = ProbesCollector(Context(settings, engine, Discovery(engine, ".*")))
    probes.began -= 3600
    with pytest.raises(CollectorError, match="app, minio, minio_cluster") as stale:
        probes.begin()
    assert not find(stale.value.partial, "sermon_uploader_up")
