"""The real Prometheus and Alertmanager, started with the very flags of docker-compose.monitoring.yml."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib import request

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.parts.test_compose import ROOT, compose_config
from tests.real.daemons import Binaries
from tests.real.processes import Process, fetch, free_port, spawn, wait_for

pytestmark = pytest.mark.daemons


class Stack:
    """Prometheus and Alertmanager with the compose file's flags; only paths and addresses are ours."""

    def __init__(
        self, binaries: Binaries, services: dict[str, Any], home: Path, webhook: str
    ) -> None:
        self.ports = {"prometheus": free_port(), "alertmanager": free_port()}
        self.home = home
        self._binaries = binaries
        self._services = services
        self._processes: list[Process] = []
        places = {
            "/etc/sermon-monitor": str(home / "etc"),
            "/secrets": str(home / "secrets"),
            "http://monitor:5001/alerts": webhook,
            "alertmanager:9093": f"127.0.0.1:{self.ports['alertmanager']}",
            "localhost:9090": f"127.0.0.1:{self.ports['prometheus']}",
        }
        self._places = {
            **places,
            "/prometheus": str(home / "tsdb"),
            "/alertmanager": str(home / "am"),
        }
        (home / "etc").mkdir()
        (home / "secrets").mkdir()
        (home / "secrets" / "webhook_token").write_text("a-token\n")
        for source in (ROOT / "monitoring").glob("*.yml"):
            text = source.read_text()
            for shipped, ours in places.items():
                text = text.replace(shipped, ours)
            (home / "etc" / source.name).write_text(text)

    def start(self, name: str) -> str:
        """Start it and wait until it is ready; its URL. The one flag that is added says where to listen."""
        flags = [self._ours(flag) for flag in self._services[name]["command"]]
        url = f"http://127.0.0.1:{self.ports[name]}"
        program = getattr(self._binaries, name)
        listen = f"--web.listen-address={url.removeprefix('http://')}"
        process = spawn([program, *flags, listen], self.home / f"{name}.log", cwd=self.home)
        self._processes.append(process)
        wait_for(lambda: fetch(f"{url}/-/ready")[0] == 200, name, process=process)
        return url

    def _ours(self, flag: str) -> str:
        option, equals, value = flag.partition("=")
        for shipped, ours in self._places.items():
            if value == shipped or value.startswith(f"{shipped}/"):
                value = ours + value.removeprefix(shipped)
        return option + equals + value

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in self._processes:
            process.stop()


@pytest.fixture
async def webhook() -> AsyncIterator[tuple[str, list[tuple[str | None, Any]]]]:
    """Where Alertmanager posts, and what came: the credential and the body."""
    got: list[tuple[str | None, Any]] = []

    async def alerts(asked: web.Request) -> web.Response:
        got.append((asked.headers.get("Authorization"), await asked.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/alerts", alerts)
    server = TestServer(app)
    await server.start_server()
    yield str(server.make_url("/alerts")), got
    await server.close()


@pytest.fixture
def stack(binaries: Binaries, tmp_path: Path, webhook: tuple[str, Any]) -> Iterator[Stack]:
    home = tmp_path / "stack"
    home.mkdir()
    stack = Stack(binaries, compose_config(tmp_path)["services"], home, webhook[0])
    yield stack
    stack.stop()


@pytest.mark.long
async def test_both_daemons_start_with_the_compose_flags_and_the_watchdog_arrives(
    stack: Stack, webhook: tuple[str, list[tuple[str | None, Any]]]
) -> None:
    alertmanager = await asyncio.to_thread(stack.start, "alertmanager")
    prometheus = await asyncio.to_thread(stack.start, "prometheus")
    _, got = webhook
    # Fired before Prometheus has found its Alertmanager, an alert is sent again after a minute.
    await asyncio.to_thread(wait_for, lambda: bool(got), "the Watchdog", within=150)
    credential, body = got[0]
    assert credential == "Bearer a-token"
    assert body["version"] == "4"
    assert [alert["labels"]["alertname"] for alert in body["alerts"]] == ["Watchdog"]
    assert body["alerts"][0]["annotations"]["dashboard_url"] == (
        "http://127.0.0.1:9090/alerts?search=Watchdog"
    )
    _, status = await asyncio.to_thread(fetch, f"{prometheus}/api/v1/status/flags")
    assert json.loads(status)["data"]["web.enable-admin-api"] == "false"
    _, rules = await asyncio.to_thread(fetch, f"{prometheus}/api/v1/rules?type=alert")
    shipped = yaml.safe_load((ROOT / "monitoring/alerts.yml").read_text())["groups"]
    with_alerts = {one["name"] for one in shipped if any("alert" in rule for rule in one["rules"])}
    assert {group["name"] for group in json.loads(rules)["data"]["groups"]} == with_alerts
    assert (await asyncio.to_thread(fetch, f"{alertmanager}/-/healthy"))[0] == 200


async def test_without_a_discord_address_the_second_path_fails_alone(
    stack: Stack, webhook: tuple[str, list[tuple[str | None, Any]]]
) -> None:
    url = await asyncio.to_thread(stack.start, "alertmanager")
    labels = {"alertname": "ServiceDown", "cause": "blind", "severity": "critical", "service": "x"}
    body = json.dumps([{"labels": labels}]).encode()
    assert (await asyncio.to_thread(_post, f"{url}/api/v2/alerts", body)) == 200
    _, got = webhook
    await asyncio.to_thread(wait_for, lambda: bool(got), "the webhook")
    said = "read webhook_url_file"
    await asyncio.to_thread(wait_for, lambda: said in stack.log("alertmanager"), "the one line")
    assert stack.log("alertmanager").count(said) == 1
    assert (await asyncio.to_thread(fetch, f"{url}/-/ready"))[0] == 200


def _post(url: str, body: bytes) -> int:
    asked = request.Request(url, body, {"Content-Type": "application/json"})
    opener = request.build_opener(request.ProxyHandler({}))
    with opener.open(asked, timeout=5) as answer:
        return int(answer.status)
