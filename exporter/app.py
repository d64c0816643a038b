"""The exporter: GET /metrics for Prometheus, GET /healthz, and a page that points there."""

from __future__ import annotations

import asyncio

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, disable_created_metrics

from exporter.collectors import COLLECTORS
from exporter.collectors.process import ProcessesOwnCollector
from exporter.context import Context
from exporter.encoding import compress, gzip_wanted
from exporter.exposition import render
from exporter.scrape import Collector, Scraper, scrape_seconds
from exporter.settings import ExporterSettings
from target.discovery import Discovery
from target.engine import Engine

_LANDING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sermon Monitor exporter</title></head>
<body><h1>Sermon Monitor exporter</h1><p><a href="/metrics">Metrics</a></p></body></html>
"""

log = structlog.get_logger(__name__)


class Exporter:
    """All collectors of one deployment, behind one HTTP application."""

    def __init__(
        self,
        settings: ExporterSettings,
        engine: Engine,
        discovery: Discovery,
        registry: CollectorRegistry,
    ) -> None:
        """``discovery.run`` is the caller's to run; ``registry`` holds the process's own counters."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        context = Context(settings, engine, discovery)
        self.collectors: tuple[Collector, ...] = (
            *(make(context) for make in COLLECTORS),
            ProcessesOwnCollector(registry),
        )
        self._scraper = Scraper(self.collectors)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin the background work of every collector."""
        self._tasks = [asyncio.create_task(keep_running(one)) for one in self.collectors]

    async def stop(self) -> None:
        """End it, and every scrape."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._scraper.close()

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/", self._landing)
        return application

    async def _metrics(self, request: web.Request) -> web.Response:
        seconds = scrape_seconds(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds"))
        samples = await self._scraper.scrape(seconds)
        body, content_type = render(samples, request.headers.get("Accept", ""))
        headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if gzip_wanted(request.headers.get("Accept-Encoding", "")):
            body = compress(body)
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _landing(self, _request: web.Request) -> web.Response:
        return web.Response(text=_LANDING, content_type="text/html")


async def keep_running(collector: Collector, pause_seconds: float = 5.0) -> None:
    """Run a collector's background work; after a defect, say it and begin again."""
    while True:
        try:
            await collector.run()
        except Exception:  # one collector's defect must not end the others
            log.exception("background work of a collector failed", collector=collector.name)
            await asyncio.sleep(pause_seconds)
        else:
            return
