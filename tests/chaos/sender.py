"""Prometheus and two Alertmanagers, as far as a receiver can see them: what fires, told twice, late and again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp

Labels = Mapping[str, str]
Conditions = Mapping[str, Callable[[], bool]]
"""Alert name to whether its expression is true now."""
EVALUATION_SECONDS = 0.05
GROUP_INTERVAL_SECONDS = 0.6
REPEAT_CHANCE = 0.25
STALE_CHANCE = 0.15


ABOUT = {"Vanished": "nobody-s-container"}
"""The container that an alert names."""


@dataclass(frozen=True)
class Firing:
    """One alert that fires."""

    name: str
    severity: str
    service: str
    since: datetime

    @property
    def fingerprint(self) -> str:
        """As Alertmanager's look."""
        return hashlib.sha256(f"{self.service}/{self.name}".encode()).hexdigest()[:16]

    def as_json(self, status: str) -> dict[str, Any]:
        labels = {"alertname": self.name, "severity": self.severity, "service": self.service}
        labels |= {"name": ABOUT[self.name]} if self.name in ABOUT else {}
        return {
            "status": status,
            "labels": labels,
            "annotations": {"summary": f"{self.name} of {self.service}"},
            "startsAt": self.since.isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": self.fingerprint,
        }


@dataclass
class Prometheus:
    """What fires now; ``rules``: (service, severity, name) to the condition."""

    rules: dict[tuple[str, str, str], Callable[[], bool]] = field(default_factory=dict)
    firing: dict[str, Firing] = field(default_factory=dict)
    known: dict[str, Firing] = field(default_factory=dict)
    """Every alert that has ever fired, by fingerprint."""

    def evaluate(self) -> None:
        for (service, severity, name), condition in self.rules.items():
            alert = Firing(name, severity, service, datetime.now(UTC))
            if not condition():
                self.firing.pop(alert.fingerprint, None)
            elif alert.fingerprint not in self.firing:
                self.firing[alert.fingerprint] = self.known[alert.fingerprint] = alert


@dataclass
class Told:
    """How often each alert was told, by fingerprint and status: asked for, and answered 200."""

    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    accepted: Counter[tuple[str, str]] = field(default_factory=Counter)


class Alertmanager:
    """One of a pair that do not know of each other. Groups by service."""

    def __init__(
        self, name: str, url: str, prometheus: Prometheus, told: Told, rng: random.Random
    ) -> None:
        self.name = name
        self.honest = False
        """No body is told late or again any more."""
        self.cut_off = False
        """No webhook arrives."""
        self._url = url
        self._prometheus = prometheus
        self._told = told
        self._rng = rng
        self._known: dict[str, Firing] = {}
        """What was last told as firing."""
        self._late: list[bytes] = []
        self._telling = False

    @property
    def settled(self) -> bool:
        """What was last told, and accepted, is what fires."""
        under_way = self._telling or bool(self._late)
        return not under_way and self._known == self._prometheus.firing

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                self._telling = True
                await self._flush(session)
                self._telling = False
                pause = self._rng.uniform(0.1, 1.0) * GROUP_INTERVAL_SECONDS
                await asyncio.sleep(pause)

    async def _flush(self, session: aiohttp.ClientSession) -> None:
        if self._late and (self.honest or self._rng.random() < 0.5):
            # A request that hung somewhere arrives behind what was sent after it.
            body = self._late.pop(0)
            await self._post(session, body)
            again = [key for key, status in _alerts_of(body) if status == "firing"]
            self._known = dict.fromkeys([*self._known, *again], _NOBODY)  # all is told anew
        now = dict(self._prometheus.firing)
        if now == self._known and (self.honest or self._rng.random() > REPEAT_CHANCE):
            return
        services = {a.service for a in [*now.values(), *self._known.values()] if a is not _NOBODY}
        services |= {self._prometheus.known[key].service for key in self._known}
        for service in sorted(services):
            await self._tell_group(session, service, now)

    async def _tell_group(
        self, session: aiohttp.ClientSession, service: str, now: Mapping[str, Firing]
    ) -> None:
        mine = [a for a in now.values() if a.service == service]
        known = self._prometheus.known
        over = [k for k in self._known if known[k].service == service and k not in now]
        alerts = [a.as_json("firing") for a in mine]
        alerts += [replace(known[k], since=datetime.now(UTC)).as_json("resolved") for k in over]
        if not alerts:
            return
        self._rng.shuffle(alerts)
        body = _body(alerts)
        if not self.honest and self._rng.random() < STALE_CHANCE:
            self._late.append(body)
        await self._post(session, body)
        for key in over:
            self._known.pop(key, None)
        self._known.update({a.fingerprint: a for a in mine})

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> None:
        """The same body until it is accepted, as the real one does within its group_interval."""
        while not await self._once(session, body):  # noqa: ASYNC110 - another process is asked
            await asyncio.sleep(0.05)

    async def _once(self, session: aiohttp.ClientSession, body: bytes) -> bool:
        if self.cut_off:
            return False
        alerts = _alerts_of(body)
        self._told.tried.update(alerts)
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            deadline = aiohttp.ClientTimeout(total=10)
            headers = {"Content-Type": "application/json"}
            async with session.post(self._url, data=body, headers=headers, timeout=deadline) as answer:  # fmt: skip
                if answer.status == 200:
                    self._told.accepted.update(alerts)
                    return True
        return False


_NOBODY = Firing("", "", "", datetime.fromtimestamp(0, UTC))
"""Told, but not known as what: the next flush tells it anew."""


def _alerts_of(body: bytes) -> list[tuple[str, str]]:
    """Fingerprint and status of each."""
    return [(alert["fingerprint"], alert["status"]) for alert in json.loads(body)["alerts"]]


def _body(alerts: list[dict[str, Any]]) -> bytes:
    firing = any(alert["status"] == "firing" for alert in alerts)
    whole = {
        "version": "4",
        "groupKey": "{}",
        "status": "firing" if firing else "resolved",
        "receiver": "sermon-monitor",
        "alerts": alerts,
    }
    return json.dumps(whole).encode()
