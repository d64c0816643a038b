"""What an Alertmanager answers when it is asked what fires: the part of its API that the receiver uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.chaos.sender import Firing, Prometheus

CONFIG = "receivers: [{name: sermon-monitor, webhook_configs: [{url: <secret>}]}]"
_WATCHDOG = Firing("Watchdog", "none", "sermon-monitor", datetime(2026, 1, 1, tzinfo=UTC))


class Listing:
    """Lists what fires in a Prometheus."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.shown: Counter[str] = Counter()
        """How often each fingerprint was listed: so often it may have been opened by that."""
        self.asked = 0
        self._prometheus = prometheus
        self._up_since = datetime.now(UTC) - timedelta(days=30)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address."""
        application = web.Application()
        application.router.add_get("/api/v2/status", self._status)
        application.router.add_get("/api/v2/alerts", self._alerts)
        application.router.add_get("/api/v2/alerts/groups", self._groups)
        async with TestServer(application) as server:
            yield str(server.make_url("")).rstrip("/")

    def _listed(self) -> Sequence[dict[str, Any]]:
        state = {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}
        every = [*self._prometheus.firing.values(), _WATCHDOG]
        return [{**one.as_json("firing"), "status": state} for one in every]

    async def _status(self, _: web.Request) -> web.Response:
        config = {"original": CONFIG}
        return web.json_response({"uptime": self._up_since.isoformat(), "config": config})

    async def _alerts(self, _: web.Request) -> web.Response:
        return web.json_response(self._listed())

    async def _groups(self, _: web.Request) -> web.Response:
        self.asked += 1
        self.shown.update(list(self._prometheus.firing))
        group = {"receiver": {"name": "sermon-monitor"}, "labels": {}, "alerts": self._listed()}
        return web.json_response([group])
