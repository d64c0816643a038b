"""The real receiver in this process, with short times: on a SQLite file, told to the stand-ins."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, generate_latest

from receiver.actions.local_rollback import SaveFirst
from receiver.clock import SystemClock
from receiver.duty import Duty
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from target.engine import Engine
from tests.parts.exporter_kit import NOWHERE

WITHIN = 60.0
"""Seconds. Ends a broken run; measures nothing."""
ROLE = "<@&4242>"
TIMING = {
    "recheck": "100ms",
    "run_poll": "50ms",
    "run_lookup": "3s",
    "queue_deadline": "20s",
    "run_deadline": "30s",
    "verify_for": "100ms",
    "verify_deadline": "20s",
}
ROWS = """
  - {alert: ServiceDown, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [rollback @0m, person @10m]}
  - {alert: NeedsRestart, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [restart app @0m, rollback @1s, person @10m]}
  - {alert: SoonAPerson, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [person @1s]}
  - {alert: NeedsPrometheus, category: performance, severity: critical, discord: now,
     mention: true, confirm: signal, steps: [person @1s]}
"""


def policy_text(rows: str = ROWS, *, local: str = "approve", **timing: str) -> str:
    times = "\n".join(f"  {name}: {value}" for name, value in (TIMING | timing).items())
    others = "{critical: {discord: now, mention: true}, warning: {discord: grouped}, info: {discord: digest}}"
    return f"version: 1\nlocal_fallback: {local}\ntiming:\n{times}\nalerts:{rows}others: {others}\n"


class Running:
    """A receiver at ``url``, and what it told."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        receiver: Receiver,
        registry: CollectorRegistry,
    ) -> None:
        self.url = url
        self.session = session
        self.receiver = receiver
        self._registry = registry

    @property
    def duty(self) -> Duty:
        """What it does, where it is the one who does it."""
        assert self.receiver.duty is not None
        return self.receiver.duty

    async def post(self, body: bytes | dict[str, Any], **headers: str) -> tuple[int, Any]:
        """POST /alerts: status and the parsed answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        every = {"Content-Type": "application/json", **headers}
        large = io.BytesIO(data)  # aiohttp warns of bytes beyond 1 MiB
        async with self.session.post(self.url + "/alerts", data=large, headers=every) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.text()

    async def incidents(self) -> list[dict[str, Any]]:
        status, text = await self.get("/api/incidents")
        assert status == 200, text
        found: list[dict[str, Any]] = json.loads(text)["incidents"]
        return found

    async def until(self, condition: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        """Ask until ``condition`` holds of the newest incident; that one."""
        found: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(WITHIN):
                while not (  # noqa: ASYNC110 - it lies behind HTTP
                    (found := await self.incidents()) and condition(found[0])
                ):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"waited for {what}; {json.dumps(found, indent=1)}") from None
        return found[0]

    def metrics(self) -> str:
        return generate_latest(self._registry).decode()


places: list[Callable[[Path], str]] = []
"""With ``--store postgres``: what gives the DATABASE_URL of a STATE_DIR."""


async def _its_turn(running: Receiver) -> None:
    async with asyncio.timeout(WITHIN):
        while running.duty is None:  # noqa: ASYNC110 - it comes by itself
            await asyncio.sleep(0.01)


@asynccontextmanager
async def receiver(directory: Path, policy: str = "", **settings: Any) -> AsyncIterator[Running]:
    """A receiver with nobody around it but who ``settings`` (as in the environment) name.

    ``save_first`` among them is not of the environment: what saves before a rollback by the machine itself.
    """
    save_first: SaveFirst | None = settings.pop("save_first", None)
    table = directory / "policy.yml"
    table.write_text(policy or policy_text())
    values = {
        "APP_URL": NOWHERE,
        "MINIO_URL": NOWHERE,
        "STATE_DIR": directory / "state",
        "DOCKER_HOST": f"unix://{directory}/no.sock",
        "POLICY_FILE": table,
        "DISCORD_MENTION": ROLE,
        "CONTACTS": "Anna 0151 234",
        **({"DATABASE_URL": places[0](directory / "state")} if places else {}),
        **settings,
    }
    parsed = ReceiverSettings.model_validate(values)
    engine = Engine(parsed.docker_host, timeout=5.0)
    registry = CollectorRegistry()
    running = Receiver(parsed, engine, registry, SystemClock(), save_first=save_first)
    try:
        application = await running.start()
        if places:
            await _its_turn(running)
        async with TestServer(application) as server, aiohttp.ClientSession() as session:
            yield Running(str(server.make_url("")).rstrip("/"), session, running, registry)
    finally:
        await running.stop()
        engine.close()


class App:
    """An application that is well, until ``well`` is set otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.well = True

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "?"}, status=200 if self.well else 503)


@asynccontextmanager
async def application() -> AsyncIterator[App]:
    app, served = App(), web.Application()
    served.router.add_get("/api/health", app.health)
    async with TestServer(served) as server:
        app.url = str(server.make_url("")).rstrip("/")
        yield app


def alert(name: str = "ServiceDown", status: str = "firing", **changes: Any) -> dict[str, Any]:
    labels = {"alertname": name, "severity": "critical", "service": "sermon-uploader"}
    return {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"{name} happens"},
        "startsAt": "2026-03-01T01:59:00Z",
        "fingerprint": f"fp-{name}",
        **changes,
    }


def body(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    fixed = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "hook"}
    return {**fixed, "alerts": list(alerts or [alert()]), **more}


def step(incident: dict[str, Any], action: str) -> dict[str, Any]:
    """The newest step of an action; empty where there is none."""
    found = [s for s in incident["steps"] if s["action"] == action]
    return found[-1] if found else {}


def ended(action: str, *states: str) -> Callable[[dict[str, Any]], bool]:
    return lambda incident: step(incident, action).get("state") in states


def texts(value: Any) -> Iterable[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)
