"""A receiver with an ill application, a card with a button, and what is behind it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.parts.acting_engine import ActingEngine
from tests.parts.receiver_kit import Running, alert, application, body, policy_text, receiver
from tests.standins.discord import Discord

PUBLIC = "https://monitor.church.example"
ROWS = """
  - {alert: Slow, category: performance, severity: warning, discord: grouped, confirm: probe,
     steps: [ask restart app @0m]}
  - {alert: Down, category: health, severity: critical, discord: now, mention: true, confirm: probe,
     steps: [restart app @1s]}
  - {alert: Full, category: resource, severity: critical, discord: now, confirm: probe,
     steps: [cleanup @0m, ask cleanup images @0m]}
  - {alert: Urgent, category: health, severity: critical, discord: now, mention: true, confirm: probe,
     steps: [ask restart app @0m]}
  - {alert: Gone, category: health, severity: critical, discord: now, mention: true, confirm: probe,
     steps: [person @30m]}
"""
SLOW = alert("Slow", labels={"alertname": "Slow", "severity": "warning", "service": "app"})


@dataclass
class Scene:
    """A receiver whose application is ill, with what it tells and what it does."""

    running: Running
    discord: Discord
    engine: ActingEngine
    app: Any

    @property
    def url(self) -> str:
        """The button of the card, or of the newest message with one, as it leads to this receiver."""
        for message in reversed(self.discord.messages):
            for row in message.body.get("components", []):
                public = str(row["components"][0]["url"])
                assert public.startswith(f"{PUBLIC}/approve/")
                return public.replace(PUBLIC, self.running.url)
        raise AssertionError("no message has a button")

    async def told(self, condition: Callable[[Discord], Any]) -> None:
        await self.discord.wait_until(condition, 60)

    async def asked(self, alert: dict[str, Any] = SLOW) -> str:
        """Post the alert; the button's address once it is there."""
        await self.running.post(body(alert))
        await self.told(lambda d: any(m.body.get("components") for m in d.messages))
        return self.url

    async def approvals(self) -> list[dict[str, Any]]:
        _, text = await self.running.get("/api/approvals")
        found: list[dict[str, Any]] = json.loads(text)["approvals"]
        return found


@asynccontextmanager
async def scene(tmp_path: Path, **settings: Any) -> AsyncIterator[Scene]:
    tmp_path.joinpath("backups").mkdir()
    engine = ActingEngine(tmp_path / "engine.sock")
    async with (
        Discord(rate_limit=(1000, 1.0)) as discord,
        application() as app,
        engine.serving(),
    ):
        engine.add("a" * 64, "sermon-uploader")
        app.well = False
        given = {
            "APP_URL": app.url,
            "DOCKER_HOST": engine.host,
            "DISCORD_WEBHOOK_URL": discord.url,
            "PUBLIC_URL": PUBLIC,
            "BACKUP_DIR": tmp_path / "backups",
            **settings,
        }
        async with receiver(tmp_path, policy_text(ROWS), **given) as running:
            yield Scene(running, discord, engine, app)


async def fetch(scene: Scene, url: str) -> tuple[int, str, Any]:
    async with scene.running.session.get(url) as answer:
        return answer.status, await answer.text(), answer.headers


def stamp(html: str) -> str:
    (found,) = re.findall(r'name="page" value="([^"]+)"', html)
    return str(found)


async def press(
    scene: Scene, url: str, page: str, decision: str = "approve", **headers: str
) -> tuple[int, str]:
    data = {"page": page, "decision": decision}
    async with scene.running.session.post(url, data=data, headers=headers) as answer:
        return answer.status, await answer.text()
