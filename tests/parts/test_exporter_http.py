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
from target.probe import probe
from tests.parts.exporter_kit import (
    NOWHERE,
    Relay,
    exporter,
    new_findings,
    samples_of,
    success,
)
from tests.real.daemons import Binaries
from tests.real.processes import free_port


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
            for _ in range(30):
                async with asyncio.timeout(5):
                    text = await running.text(**{"X-Prometheus-Scrape-Timeout-Seconds": "2"})
                assert success(samples_of(text), "containers") == 0
                await asyncio.sleep(0.05)
            assert "does not answer" in running.discovery.error
            stuck = [one for one in threading.enumerate() if one.name == "Docker Engine"]
            assert len(stuck) <= 1
    finally:
        await relay.stop()


@asynccontextmanager
async def server(handler: web.RequestHandler | object) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)  # type: ignore[arg-type]
    async with TestServer(app) as running:
        yield str(running.make_url("")).rstrip("/")


async def status_500(_: web.Request) -> web.Response:
    return web.Response(status=500)


async def redirect(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/login"})


async def no_content(_: web.Request) -> web.Response:
    return web.Response(status=204)


async def stalled_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.sleep(3600)
    return response


async def stalled_head(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response()


async def endless_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


async def cut_body(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"{")
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (status_500, "status"),
        (redirect, "status"),
        (no_content, None),
        (stalled_body, "timeout"),
        (stalled_head, "timeout"),
        (endless_body, None),
        (cut_body, "body"),
    ],
)
async def test_probes_of_servers(handler: object, reason: str | None) -> None:
    async with server(handler) as url, aiohttp.ClientSession() as session:
        result = await probe(session, url + "/api/health", timeout_seconds=0.5)
    assert result.reason == reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (NOWHERE, "refused"),
        ("http://no-such-host.invalid", "dns"),
        ("https://127.0.0.1:{tls}", "tls"),
    ],
)
async def test_probes_of_nothing(url: str, reason: str) -> None:
    async with server(no_content) as plain, aiohttp.ClientSession() as session:
        result = await probe(session, url.format(tls=plain.rpartition(":")[2]), 10.0)
    assert result.reason == reason


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
