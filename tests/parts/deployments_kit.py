"""Two churches under one receiver: in this process, or as the process that users start."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, generate_latest

from receiver.clock import SystemClock
from receiver.service import Receiver
from sermon_monitor.deployments import deployments
from sermon_monitor.posts import Several
from sermon_monitor.settings import load
from tests.chaos.surroundings import Surroundings, surroundings
from tests.parts.exporter_kit import NOWHERE
from tests.parts.receiver_kit import alert, body, policy_text
from tests.real.processes import fetch
from tests.real.product import Product

PLAINS, YONKERS = "white-plains", "yonkers"
WITHIN = 60.0
_SECRET = {"DISCORD_WEBHOOK_URL", "GITHUB_TOKEN", "GITHUB_WEBHOOK_SECRET", "HEARTBEAT_URL"}
ROWS = """
  - {alert: ServiceDown, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [rollback @0m, person @10m]}
  - {alert: OnlyHere, category: health, severity: warning, discord: grouped, confirm: none, steps: [person @0m]}
"""
"""Of White Plains; Yonkers has the kit's own table, which does not know the last one."""


def secret_of(name: str) -> str:
    """That GitHub signs with."""
    return f"{name}-0123456789abcdef"


def entry(directory: Path, name: str, **settings: object) -> dict[str, Any]:
    """One of the file: what is a secret lies in a file of its own."""
    directory.mkdir(parents=True, exist_ok=True)
    named = {}
    for key, value in settings.items():
        if key in _SECRET:
            file = directory / key.lower()
            file.write_text(f"{value}\n")
            named[f"{key}_FILE"] = str(file)
        else:
            named[key] = str(value)
    return {"name": name, "match": {"host": name}, "settings": named}


def _policy(name: str) -> str:
    """A new version is rolled back at once."""
    if name == PLAINS:
        return policy_text(ROWS, deployment_grace="0s")
    return policy_text(deployment_grace="0s")


def written(directory: Path, *entries: Mapping[str, Any]) -> Path:
    path = directory / "deployments.yml"
    path.write_text(yaml.safe_dump({"deployments": [dict(one) for one in entries]}))
    return path


def of(
    host: str, name: str = "ServiceDown", status: str = "firing", **labels: str
) -> dict[str, Any]:
    """An alert of a church, as the rules have it; of none where ``host`` is empty."""
    about = {"host": host, "service": f"sermon-uploader@{host}"} if host else {}
    one = alert(name, status, fingerprint=f"fp-{name}-{host}")
    return {**one, "labels": {**one["labels"], **about, **labels}}


class House:
    """Both of them in this process, at ``url``."""

    def __init__(self, url: str, session: aiohttp.ClientSession, several: Several, registry: CollectorRegistry) -> None:  # fmt: skip
        self.url, self.session = url, session
        self.receivers: dict[str, Receiver] = {m.name: m.receiver for m in several._members}
        self._registry = registry

    async def post(self, *alerts: dict[str, Any], **more: Any) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        data = io.BytesIO(json.dumps(body(*alerts, **more)).encode())
        async with self.session.post(f"{self.url}/alerts", data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(f"{self.url}{path}", headers=headers) as answer:
            return answer.status, await answer.text()

    async def incidents(self, name: str) -> list[dict[str, Any]]:
        status, text = await self.get(f"/at/{name}/api/incidents")
        assert status == 200, text
        found: list[dict[str, Any]] = json.loads(text)["incidents"]
        return found

    def metric(self, sample: str) -> float:
        """The value of a sample, as it is written."""
        text = generate_latest(self._registry).decode()
        found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        assert found, f"{sample} is not in\n{text}"
        return float(found[1])


@asynccontextmanager
async def house(
    directory: Path, first: Mapping[str, object] | None = None, **process: object
) -> AsyncIterator[House]:
    """White Plains comes first; ``first``: more of its entry. Nobody is around them. ``process``: its settings."""
    registry = CollectorRegistry()
    churches = []
    for number, name in enumerate((PLAINS, YONKERS), 1):
        place = directory / name
        place.mkdir(exist_ok=True)
        (place / "policy.yml").write_text(_policy(name))
        around = {
            "APP_URL": f"{NOWHERE}/{number}",
            "MINIO_URL": f"{NOWHERE}/{number}",
            "DOCKER_HOST": f"unix://{place}/no.sock",
            "POLICY_FILE": place / "policy.yml",
            "GITHUB_WEBHOOK_SECRET": secret_of(name),
        }
        churches.append(entry(place, name, **around))
    churches[0] |= first or {}
    environ = {
        "STATE_DIR": str(directory / "state"),
        "DEPLOYMENTS_FILE": str(written(directory, *churches)),
        **{key: str(value) for key, value in process.items()},
    }
    settings = load(None, environ)
    several = Several(settings, deployments(settings, None, environ), registry, SystemClock())
    jar = aiohttp.CookieJar(unsafe=True)  # of an address
    try:
        async with (
            TestServer(await several.start()) as server,
            aiohttp.ClientSession(cookie_jar=jar) as session,
        ):
            yield House(str(server.make_url("")).rstrip("/"), session, several, registry)
    finally:
        await several.stop()
        await several.close()


class Town:
    """Both of them as the users' process, with all that is around each."""

    def __init__(self, product: Product, around: Mapping[str, Surroundings]) -> None:
        self.product = product
        self.around = around

    def post(self, *alerts: dict[str, Any]) -> int:
        return self.product.post(json.dumps(body(*alerts)).encode())[0]

    def incidents(self, name: str) -> list[dict[str, Any]]:
        status, told = fetch(f"{self.product.url}/at/{name}/api/incidents")
        assert status == 200, told
        found: list[dict[str, Any]] = json.loads(told)["incidents"]
        return found

    def cards(self, name: str) -> list[str]:
        """What stands on a church's Discord."""
        return [json.dumps(m.body) for m in self.around[name].discord.messages]


@asynccontextmanager
async def town(directory: Path, more: Mapping[str, Mapping[str, object]]) -> AsyncIterator[Town]:
    """``more``: settings of each entry."""
    async with AsyncExitStack() as stack:
        around, entries = {}, []
        for name in (PLAINS, YONKERS):
            place = directory / name
            around[name] = it = await stack.enter_async_context(
                surroundings(place, f"{name}/sermons")
            )
            (place / "policy.yml").write_text(_policy(name))
            own = {
                "STATE_DIR": place / "state",
                "POLICY_FILE": place / "policy.yml",
                "COOLDOWN": "0s",
                "GITHUB_WEBHOOK_SECRET": secret_of(name),
            }
            entries.append(entry(place, name, **it.settings, **own, **more.get(name, {})))
        entries[0]["default"] = True
        file = written(directory, *entries)
        product = Product(
            directory / "process", {"DEPLOYMENTS_FILE": str(file), "DRY_RUN": "false"}
        )
        try:
            await asyncio.to_thread(product.start)
            yield Town(product, around)
        finally:
            await asyncio.to_thread(product.stop)
