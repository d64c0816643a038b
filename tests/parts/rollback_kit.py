"""A deployment that runs a bad version, the version before it, and the two stand-ins: for tests of a rollback."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from target.engine import Engine
from target.version_keeper import LedgerFile
from target.versions import Ledger, facts_of, judge, observe
from tests.conftest import AppImages
from tests.parts.receiver_kit import Running, body, ended, policy_text, receiver, step
from tests.real.engine import DockerEngine
from tests.standins.discord import Discord
from tests.standins.github import GitHub

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "rollback.yml"
BY_HAND = "on the host, type: sermon-recovery rollback"


@dataclass
class Stage:
    """One container that runs v2, a ledger that knows v1 as good, and the two stand-ins."""

    name: str
    engine: DockerEngine
    images: AppImages
    directory: Path
    discord: Discord
    github: GitHub

    def receiver(
        self, *, timing: dict[str, str] | None = None, **settings: Any
    ) -> AbstractAsyncContextManager[Running]:
        given = {
            "DOCKER_HOST": self.engine.host,
            "APP_SERVICE": self.name,
            "MINIO_SERVICE": "none-at-all",
            "DISCORD_WEBHOOK_URL": self.discord.url,
            "GITHUB_TOKEN": self.github.token,
            "GITHUB_REPO": self.github.repository,
            "GITHUB_API_URL": self.github.base_url,
        }
        return receiver(self.directory, policy_text(**(timing or {})), **(given | settings))

    async def run(self, tag: str) -> None:
        """The container of ``name`` runs ``tag``; its command only waits."""
        await self.remove()
        waiting = ("--entrypoint", "sleep", tag, "3600")
        await self.docker("run", "--detach", "--network", "none", "--name", self.name, *waiting)

    async def remove(self) -> None:
        await self.docker("rm", "--force", self.name)

    async def docker(self, *arguments: str) -> str:
        return await asyncio.to_thread(self.engine.docker, *arguments)

    def write_ledger(self) -> None:
        """v1 proved good, then v2 came and did not."""
        client = Engine(self.engine.host)
        ledger, began = Ledger(), datetime.now(UTC) - timedelta(days=2)
        for image, good in ((self.images.v1, True), (self.images.v2, False)):
            facts = facts_of(image.tag, client.image(image.tag))
            ledger = observe(ledger, self.name, facts, began)
            for hours in (0, 1):
                now = began + timedelta(hours=hours)
                ledger = judge(ledger, self.name, good, now, timedelta(minutes=15))
            began += timedelta(days=1)
        client.close()
        LedgerFile(self.directory / "state" / "versions.json").save(ledger)

    async def failed(self, running: Running) -> dict[str, Any]:
        """Post the alert; the incident once its rollback failed and a person was called."""
        await running.post(body())
        incident = await running.until(ended("rollback", "failed"), "the failure")
        await running.until(ended("person", "done"), "the call")
        await self.discord.wait_until(lambda d: any(not m.embeds for m in d.messages))
        assert "a person is needed" in incident["verdict"]
        return step(incident, "rollback")

    async def refused(self, running: Running) -> dict[str, Any]:
        """Post the alert; the rollback once a gate refused it and a person was called."""
        await running.post(body())
        await running.until(ended("rollback", "refused"), "the refusal")
        incident = await running.until(ended("person", "done"), "the call")
        await self.discord.wait_until(lambda d: any(not m.embeds for m in d.messages))
        return step(incident, "rollback")


@pytest.fixture
async def stage(
    engine: DockerEngine, app_images: AppImages, tmp_path: Path
) -> AsyncIterator[Stage]:
    name = f"sermon-rollback-{uuid.uuid4().hex[:8]}"
    async with Discord(rate_limit=(1000, 1.0)) as discord, GitHub([WORKFLOW]) as github:
        stage = Stage(name, engine, app_images, tmp_path, discord, github)
        stage.write_ledger()
        await stage.run(app_images.v2.tag)
        yield stage
        await stage.remove()
