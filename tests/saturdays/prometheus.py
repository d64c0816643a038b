"""Prometheus and Alertmanager as the receiver meets them: rules that hold for a while, and answers when asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

FORGETS_AFTER = timedelta(minutes=4)
"""Alertmanager ends what a dead Prometheus does not repeat any more: four times its resend delay of a minute."""


@dataclass
class Condition:
    """One rule: while ``holds`` has been true for ``seconds`` its alert fires."""

    name: str
    holds: Callable[[], bool]
    seconds: float
    severity: str = "critical"
    labels: Mapping[str, str] = field(default_factory=dict)
    service: str = "sermon-uploader"
    since: datetime | None = None
    told: bool = False

    def alert(self, status: str, at: datetime) -> dict[str, Any]:
        labels = {"alertname": self.name, "severity": self.severity, "service": self.service}
        return {
            "status": status,
            "labels": {**labels, **self.labels},
            "annotations": {"summary": f"{self.name} of {self.service}"},
            "startsAt": at.isoformat(),
            "fingerprint": self.name,
        }


class Prometheus:
    """``dead``: it evaluates nothing, answers nothing, and after a while all that fired is said to be over."""

    def __init__(self) -> None:
        self.url = ""
        self.conditions: list[Condition] = []
        self.dead_since: datetime | None = None

    def evaluate(self, now: datetime) -> list[tuple[str, list[dict[str, Any]]]]:
        """What Alertmanager tells now: a status and its alerts."""
        if self.dead_since is not None:
            if now - self.dead_since < FORGETS_AFTER:
                return []
            return self._told("resolved", [c for c in self.conditions if c.told], now)
        begun, over = [], []
        for one in self.conditions:
            if not one.holds():
                one.since = None
                over += [one] if one.told else []
                continue
            one.since = one.since or now
            if not one.told and now - one.since >= timedelta(seconds=one.seconds):
                begun.append(one)
        watchdog = Condition("Watchdog", lambda: True, 0, "none", service="sermon-monitor")
        return [
            *self._told("firing", begun, now),
            *self._told("resolved", over, now),
            ("firing", [watchdog.alert("firing", now)]),
        ]

    @staticmethod
    def _told(
        status: str, conditions: list[Condition], now: datetime
    ) -> list[tuple[str, list[dict[str, Any]]]]:
        for one in conditions:
            one.told = status == "firing"
        alerts = [one.alert(status, one.since or now) for one in conditions]
        return [(status, alerts)] if alerts else []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Prometheus]:
        application = web.Application()
        application.router.add_get("/api/v1/rules", self._rules)
        application.router.add_get("/api/v1/query", self._query)
        application.router.add_get("/api/v1/alerts", self._alerts)
        async with TestServer(application) as server:
            self.url = str(server.make_url("")).rstrip("/")
            yield self

    def _named(self, name: str) -> list[Condition]:
        return [one for one in self.conditions if one.name == name]

    async def _rules(self, request: web.Request) -> web.Response:
        rules = [{"name": c.name, "query": c.name, "labels": {}} for c in self._named(request.query["rule_name[]"])]  # fmt: skip
        return self._answer({"groups": [{"rules": rules}]})

    async def _query(self, request: web.Request) -> web.Response:
        holds = any(one.holds() for one in self._named(request.query["query"]))
        return self._answer({"result": [1] if holds else []})

    async def _alerts(self, _: web.Request) -> web.Response:
        firing = [{"labels": {"alertname": c.name}} for c in self.conditions if c.holds()]
        return self._answer({"alerts": [{"labels": {"alertname": "Watchdog"}}, *firing]})

    def _answer(self, data: Any) -> web.Response:
        if self.dead_since is not None:
            return web.json_response({}, status=503)
        return web.json_response({"data": data})
