"""Every Alertmanager from Debian 12's to the newest: alone, as a pair, as a pair that lost each other, restarted.

Whatever they tell, once or twice, there is one incident, one card and one dispatch.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.deployment import APP, Deployment
from tests.chaos.surroundings import surroundings
from tests.conftest import Tell
from tests.parts.receiver_kit import Running, policy_text, receiver, step
from tests.real.daemons import NEWEST, OLDER, SUITE, Alertmanager, alertmanager_of
from tests.real.debian import DebianError
from tests.real.processes import fetch
from tests.standins.discord import Discord
from tests.standins.github import GitHub, Script

pytestmark = [pytest.mark.daemons, pytest.mark.timeout(600)]
ROUTES = """
route: {receiver: sermon-monitor, group_by: [service], group_wait: 0s, group_interval: 1s,
        repeat_interval: 1s}
receivers:
  - name: sermon-monitor
    webhook_configs: [{url: "%s/alerts", send_resolved: true}]
"""
SHAPES = ("single", "clustered", "split", "restarted")
TROUBLE = ("ServiceDown", "HighErrorRate")
STARTED = datetime.now(UTC) - timedelta(minutes=1)


def test_of_debian_12(tmp_path: Path) -> None:
    asyncio.run(every_shape(alertmanager_of(OLDER), tmp_path, "0.25"))


def test_of_debian_13(tmp_path: Path) -> None:
    asyncio.run(every_shape(alertmanager_of(SUITE), tmp_path, "0.28"))


def test_the_newest(tmp_path: Path, tell: Tell) -> None:
    """Debian's unstable moves and may not be to be had: that is said, and no failure."""
    try:
        program = alertmanager_of(NEWEST)
    except DebianError as problem:
        tell(f"NOT TESTED: the newest Alertmanager cannot be had from {NEWEST}: {problem}")
        return
    tell(f"the newest Alertmanager is {asyncio.run(every_shape(program, tmp_path, '0.'))}")


async def every_shape(program: Path, directory: Path, version: str) -> str:
    """All shapes at a time; the version that the program told."""
    told = await asyncio.gather(*(story(shape, program, directory / shape) for shape in SHAPES))
    assert len(set(told)) == 1
    assert told[0].startswith(version)
    return told[0]


class Scene:
    """A bad version runs; whoever dispatches the workflow gets the good one back."""

    def __init__(self, deployment: Deployment, github: GitHub, discord: Discord) -> None:
        self.deployment = deployment
        self.github = github
        self.discord = discord
        self.may_end = asyncio.Event()
        """Not before it was told once more: an Alertmanager that never heard of it never tells its end."""
        github.play(Script(running_seconds=1.0))
        github.hook("run", self._cure)

    async def _cure(self, run: Any) -> None:
        if run.status == "completed":
            self.deployment.run_version(1)

    @property
    def cards(self) -> list[Any]:
        return [m for m in self.discord.messages if m.embeds and "footer" in m.embeds[0]]


@asynccontextmanager
async def staged(directory: Path) -> AsyncIterator[tuple[Scene, dict[str, str]]]:
    """The scene, and the settings that lead a receiver to it."""
    async with surroundings(directory) as around:
        around.deployment.deploy_bad()
        yield Scene(around.deployment, around.github, around.discord), around.settings


async def story(shape: str, program: Path, directory: Path) -> str:
    """From the first alert to the incident's end; the version of the Alertmanagers."""
    managers = _managers(shape, program, directory)
    async with staged(directory) as (scene, settings):
        settings["ALERTMANAGER_URL"] = managers[0].url
        async with receiver(directory, policy_text(), **settings) as running:
            try:
                for manager in managers:
                    manager.write(ROUTES % running.url)
                    await asyncio.to_thread(manager.start)
                repeating = asyncio.create_task(_prometheus(managers, scene))
                if shape == "restarted":
                    await scene.github.wait_until(lambda g: g.dispatches, 60)
                    await asyncio.to_thread(managers[0].stop, 0.0)
                    told = _repeats((await running.incidents())[0])
                    await asyncio.to_thread(managers[0].start)
                    await running.until(lambda i: _repeats(i) > told, "the restarted one")
                if shape == "split":
                    await running.until(_twice, "both of them")
                scene.may_end.set()
                incident = await running.until(lambda i: i["state"] == "resolved", "the end")
                # Whoever has something to tell late, tells it within two intervals.
                await asyncio.sleep(2.5)
                await _judge(running, scene, incident, twice=shape == "split")
                repeating.cancel()
                await asyncio.gather(repeating, return_exceptions=True)
                return _version(managers[0])
            finally:
                for manager in managers:
                    await asyncio.to_thread(manager.stop, 0.0)


def _managers(shape: str, program: Path, directory: Path) -> list[Alertmanager]:
    nowhere = ROUTES % "http://127.0.0.1:9"
    first = Alertmanager(program, directory / "a", nowhere, clustered=shape == "clustered")
    if shape == "clustered":
        return [first, Alertmanager(program, directory / "b", nowhere, peer=first)]
    if shape == "split":
        return [first, Alertmanager(program, directory / "b", nowhere)]
    return [first]


async def _prometheus(managers: Sequence[Alertmanager], scene: Scene) -> None:
    """Sends what fires to all of them, again and again, and its end as long."""
    while True:
        fires = not (scene.deployment.well(APP) and scene.may_end.is_set())
        for manager in managers:
            await asyncio.to_thread(_send, manager, fires)
        await asyncio.sleep(0.4)


def _send(manager: Alertmanager, fires: bool) -> None:
    now = datetime.now(UTC)
    ends = now + timedelta(minutes=4) if fires else now
    alerts = [
        {
            "labels": {"alertname": name, "severity": "critical", "service": APP},
            "annotations": {"summary": f"{name} happens"},
            "startsAt": STARTED.isoformat(),
            "endsAt": ends.isoformat(),
        }
        for name in TROUBLE
    ]
    try:
        fetch(f"{manager.url}/api/v2/alerts", "POST", json.dumps(alerts).encode())
    except OSError:
        return  # it is being restarted; Prometheus sends again


async def _judge(running: Running, scene: Scene, resolved: dict[str, Any], *, twice: bool) -> None:
    found = await running.incidents()
    assert [one["id"] for one in found] == [resolved["id"]], found
    (incident,) = found
    assert incident["state"] == "resolved", incident
    assert {alert["name"] for alert in incident["alerts"]} == set(TROUBLE)
    assert step(incident, "rollback")["state"] == "done"
    assert len(scene.github.dispatches) == 1
    assert len(scene.cards) == 1, [card.embeds for card in scene.cards]
    if twice:
        assert _twice(incident), incident["alerts"]


def _repeats(incident: dict[str, Any]) -> int:
    """How often all its alerts were told again, each at most once a webhook."""
    return sum(alert["repeats"] for alert in incident["alerts"])


def _twice(incident: dict[str, Any]) -> bool:
    return all(alert["repeats"] >= 1 for alert in incident["alerts"])


def _version(manager: Alertmanager) -> str:
    status = json.loads(fetch(f"{manager.url}/api/v2/status")[1])
    version: str = status["versionInfo"]["version"]
    return version
