"""Several hosts under one receiver: a real Prometheus keeps them apart, and nothing is done for another's sake."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.deciding.policy import load_policy
from receiver.hearing.prometheus import on_host
from tests.parts.receiver_kit import alert, application, body, receiver
from tests.real.daemons import Binaries, Prometheus
from tests.real.processes import fetch
from tests.standins.discord import Discord

MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
SICK = 'sermon_uploader_up 1\nsermon_uploader_minio_up 0\nsermon_monitor_collector_success{collector="containers"} 1\n'
WELL = 'sermon_uploader_up 1\nsermon_uploader_minio_up 1\nsermon_monitor_collector_success{collector="containers"} 1\ncontainer_state{name="backend",state="running"} 1\n'


@pytest.fixture
async def exporters() -> AsyncIterator[dict[str, str]]:
    """Addresses of an exporter that is well, of one that is not, and of one that nobody has given a name."""

    def serving(text: str) -> TestServer:
        async def metrics(_request: web.Request) -> web.Response:
            return web.Response(text=text)

        served = web.Application()
        served.router.add_get("/metrics", metrics)
        return TestServer(served)

    async with serving(WELL) as church, serving(SICK) as garage, serving(SICK) as nameless:
        each = {"church": church, "garage": garage, "": nameless}
        yield {host: f"127.0.0.1:{server.port}" for host, server in each.items()}


@pytest.mark.daemons
async def test_prometheus_says_which_host_it_is(
    binaries: Binaries, tmp_path: Path, exporters: dict[str, str]
) -> None:
    """The shipped configuration and rules; only the pace is another."""
    config = yaml.safe_load((MONITORING / "prometheus.hosts.yml").read_text())
    config["global"] = {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    config["alerting"] = {}
    config["scrape_configs"] = [
        one for one in config["scrape_configs"] if one["job_name"] == "sermon-uploader"
    ]
    prometheus = Prometheus(binaries.prometheus, tmp_path, yaml.safe_dump(config))
    shutil.copy(MONITORING / "alerts.yml", tmp_path)
    (tmp_path / "hosts").mkdir()
    entries = [
        {"targets": [at], "labels": {"host": host} if host else {}}
        for host, at in exporters.items()
    ]
    (tmp_path / "hosts" / "all.yml").write_text(yaml.safe_dump(entries))
    await asyncio.to_thread(prometheus.start)
    try:
        found = await pending(prometheus, 2)
        targets = json.loads(
            (await asyncio.to_thread(fetch, f"{prometheus.url}/api/v1/targets"))[1]
        )
        assert {one["labels"]["host"] for one in targets["data"]["activeTargets"]} == {
            "church",
            "garage",
        }
    finally:
        await asyncio.to_thread(prometheus.stop)
    told = {(one["alertname"], one["host"], one["service"]) for one in found}
    assert told == {
        ("MinIODown", "garage", "sermon-uploader@garage"),
        ("ContainerNotRunning", "garage", "sermon-uploader@garage"),
    }


async def pending(prometheus: Prometheus, count: int) -> list[dict[str, str]]:
    """Labels of at least so many alerts whose expressions are true, of a host."""
    found: list[dict[str, str]] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            _, answer = await asyncio.to_thread(fetch, f"{prometheus.url}/api/v1/alerts")
            alerts = json.loads(answer)["data"]["alerts"]
            found = [one["labels"] for one in alerts if "host" in one["labels"]]
            await asyncio.sleep(0.1)
    return found


def of_host(host: str) -> dict[str, Any]:
    labels = {"alertname": "NeedsRestart", "severity": "critical"}
    if host:
        labels |= {"host": host, "service": f"sermon-uploader@{host}"}
    return alert("NeedsRestart", labels=labels, fingerprint=f"fp-{host}")


@pytest.mark.parametrize("own", ["church", ""])
async def test_nothing_is_done_for_another_host(tmp_path: Path, own: str) -> None:
    """Two hosts of one service are two incidents with a card each; only the own one's has steps that change anything."""
    async with (
        Discord(rate_limit=(1000, 1.0)) as discord,
        application() as app,
        receiver(
            tmp_path, APP_URL=app.url, DISCORD_WEBHOOK_URL=discord.url, OWN_HOST=own, DRY_RUN="true"
        ) as running,
    ):
        await running.post(body(of_host("church"), of_host("garage"), of_host("")))
        await discord.wait_until(lambda d: len(d.messages) >= 3, 60)
        found = {one["service"]: one for one in await running.incidents()}
        cards = [json.dumps(message.body) for message in discord.messages]
    steps = {service: {step["action"] for step in one["steps"]} for service, one in found.items()}
    ladder = {"restart", "rollback", "person"}
    assert steps == {
        "sermon-uploader": ladder,
        "sermon-uploader@church": ladder if own else {"person"},
        "sermon-uploader@garage": {"person"},
    }
    for host in ("church", "garage"):
        assert sum(f"NeedsRestart on {host}: " in card for card in cards) == 1


def test_a_row_of_another_host_only_tells() -> None:
    policy = load_policy(MONITORING / "policy.yml", "church")
    rows = {
        host: policy.row({"alertname": "HighErrorRate", "host": host}, "critical")
        for host in ("", "church", "garage")
    }
    assert rows[""] is rows["church"]
    assert [step.action for step in rows["church"].steps] == ["rollback", "person"]
    told = rows["garage"]
    assert (told.discord, told.mention, told.severity) == ("now", True, "critical")
    assert (told.confirm, told.rollback_if, [step.action for step in told.steps]) == (
        "none",
        "",
        ["person"],
    )
    assert told is policy.row({"alertname": "HighErrorRate", "host": "garage"}, "critical")


def test_a_question_is_asked_of_one_host() -> None:
    both = 'a{job="sermon-uploader",x="1"} / b{job="sermon-uploader"}'
    assert on_host(both, "") == both
    assert (
        on_host(both, 'a"b')
        == 'a{job="sermon-uploader",host="a\\"b",x="1"} / b{job="sermon-uploader",host="a\\"b"}'
    )
