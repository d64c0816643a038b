"""With the real Alertmanager and Prometheus: what dies, what is missed, and what is told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.parts.receiver_kit import Running, receiver
from tests.real.daemons import Alertmanager, Binaries, Prometheus
from tests.real.processes import fetch
from tests.standins.discord import Discord

pytestmark = pytest.mark.daemons
WITHIN = 120.0
ROUTES = """
route: {receiver: sermon-monitor, group_by: [alertname], group_wait: 0s, group_interval: 1s,
        repeat_interval: 1s}
receivers:
  - name: sermon-monitor
    webhook_configs: [{url: "%s/alerts", send_resolved: true}]
"""
SCRAPE = """
global: {evaluation_interval: 1s, scrape_interval: 1s}
rule_files: [rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:%d"]}]}]}
"""
WATCHDOG = """
groups:
  - name: g
    rules:
      - {alert: Watchdog, expr: vector(1), labels: {severity: none, service: sermon-monitor}}
"""
NOBODY_LOOKS = """\
      - {alert: NobodyLooks, expr: vector(1), labels: {severity: warning, service: other}}
"""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def alertmanager(binaries: Binaries, directory: Path, stack: ExitStack) -> Alertmanager:
    daemon = Alertmanager(binaries.alertmanager, directory / "am", ROUTES % "http://127.0.0.1:9")
    stack.callback(daemon.stop)
    return daemon


def prometheus(
    binaries: Binaries, directory: Path, stack: ExitStack, to: Alertmanager
) -> Prometheus:
    """Repeats an alert each second, so that Alertmanager ends it four seconds after the last time."""
    daemon = Prometheus(
        binaries.prometheus,
        directory / "prometheus",
        SCRAPE % to.port,
        {"rules.yml": WATCHDOG + NOBODY_LOOKS},
        flags=["--rules.alert.resend-delay=1s"],
    )
    stack.callback(daemon.stop)
    return daemon


async def until(
    running: Running, service: str, condition: Callable[[dict[str, Any]], Any], what: str
) -> dict[str, Any]:
    """Until ``condition`` holds of the newest incident of a service; that one."""
    found: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(WITHIN):
            while True:
                found = [i for i in await running.incidents() if i["service"] == service]
                if found and condition(found[0]):
                    return found[0]
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"waited for {what}; {json.dumps(found, indent=1)}") from None


def fires(incident: dict[str, Any]) -> bool:
    return any(a["firing"] for a in incident["alerts"])


@pytest.mark.parametrize("asks_prometheus", [pytest.param(True, marks=pytest.mark.long), False])
async def test_prometheus_dies_and_its_silence_is_not_taken_for_health(
    binaries: Binaries, tmp_path: Path, stack: ExitStack, asks_prometheus: bool
) -> None:
    am = alertmanager(binaries, tmp_path, stack)
    server = prometheus(binaries, tmp_path, stack, am)
    settings = {"ALERTMANAGER_URL": am.url, "WATCHDOG_TIMEOUT": "8s"}
    if asks_prometheus:
        settings["PROMETHEUS_URL"] = server.url
    async with (
        Discord(rate_limit=(1000, 1.0)) as discord,
        receiver(tmp_path, DISCORD_WEBHOOK_URL=discord.url, **settings) as running,
    ):
        am.write(ROUTES % running.url)
        await asyncio.to_thread(am.start)
        await asyncio.to_thread(server.start)
        first = await until(running, "other", fires, "the alert")
        while "watchdog_last_seen" not in running.metrics():  # noqa: ASYNC110 - a metric has no event
            await asyncio.sleep(0.1)

        server.process.kill()
        blind = await until(
            running, "other", lambda i: "monitoring is blind" in i["verdict"], "the words"
        )
        assert (blind["id"], blind["state"], fires(blind)) == (first["id"], "open", False)
        assert "resolved" not in [e["kind"] for e in blind["events"]]
        alarm = await until(running, "sermon-monitor", fires, "our own alert")
        assert [a["name"] for a in alarm["alerts"]] == ["WatchdogMissing"]
        await discord.wait_until(
            lambda d: any("WatchdogMissing" in json.dumps(m.body) for m in d.messages), WITHIN
        )

        await asyncio.to_thread(server.start)
        back = await until(running, "other", fires, "the alert again")
        assert back["id"] == first["id"]
        await until(running, "sermon-monitor", lambda i: i["state"] == "resolved", "its end")
        server.write(server.config_file.read_text(), {"rules.yml": WATCHDOG})
        await asyncio.to_thread(server.reload)
        over = await until(running, "other", lambda i: i["state"] == "resolved", "a true end")
        assert over["id"] == first["id"]


async def test_what_was_missed_while_the_receiver_was_away(
    binaries: Binaries, tmp_path: Path, stack: ExitStack
) -> None:
    am = alertmanager(binaries, tmp_path, stack)
    settings = {"ALERTMANAGER_URL": am.url, "WATCHDOG_TIMEOUT": "20s"}
    async with receiver(tmp_path, **settings) as running:
        am.write(ROUTES % running.url)
        await asyncio.to_thread(am.start)
        await asyncio.to_thread(_post, am, "Watchdog", "Ends", "Lasts")
        told = await until(
            running, "sermon-uploader", lambda i: len(i["alerts"]) == 2, "both by webhooks"
        )
        by_webhook = {a["name"]: a["fingerprint"] for a in told["alerts"]}
    # Where it sends to is gone for good: all that the next one learns, it has asked for.
    await asyncio.to_thread(_silence, am, "Hushed")
    await asyncio.to_thread(_post, am, "New", "Hushed")
    await asyncio.to_thread(_post, am, "Ends", over=True)
    async with receiver(tmp_path, **settings) as running:
        found = await until(
            running,
            "sermon-uploader",
            lambda i: {a["name"] for a in i["alerts"] if a["firing"]} == {"Lasts", "New"},
            "both to be put right",
        )
    assert found["id"] == told["id"]
    listed = {a["name"]: a["fingerprint"] for a in found["alerts"]}
    assert {name: listed[name] for name in by_webhook} == by_webhook
    assert set(listed) == {"Ends", "Lasts", "New"}
    assert len(found["alerts"]) == 3


def _post(am: Alertmanager, *names: str, over: bool = False) -> None:
    now = datetime.now(UTC)
    ends = now - timedelta(seconds=1) if over else now + timedelta(hours=1)
    alerts = [
        {
            "labels": {"alertname": name, "severity": "critical", "service": "sermon-uploader"},
            "startsAt": (now - timedelta(minutes=1)).isoformat(),
            "endsAt": ends.isoformat(),
        }
        for name in names
    ]
    assert fetch(f"{am.url}/api/v2/alerts", "POST", json.dumps(alerts).encode())[0] == 200


def _silence(am: Alertmanager, name: str) -> None:
    now = datetime.now(UTC)
    silence = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    assert fetch(f"{am.url}/api/v2/silences", "POST", json.dumps(silence).encode())[0] == 200
