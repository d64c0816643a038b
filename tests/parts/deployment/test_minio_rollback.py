"""MinIO goes back to its last good image by this machine; but only where that may be the cure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from target.engine import Engine
from target.settings import DeploymentSettings
from target.version_keeper import LedgerFile
from target.versions import Facts, Ledger, judge, observe
from tests.conftest import AppImages
from tests.parts.receiver_kit import Running, alert, body, ended, policy_text, receiver, step
from tests.real.project import APP, MINIO, Project

pytestmark = pytest.mark.engine
ROW = """
  - {alert: MinIODown, category: storage, severity: critical, discord: now, mention: true,
     confirm: minio, steps: [rollback minio @0m, person @10m]}
"""


@dataclass
class Storage:
    """MinIO runs v2 and does not answer; with v1 it does. A Prometheus that knows the room on the disks."""

    project: Project
    settings: DeploymentSettings
    client: Engine
    images: AppImages
    room: float = 0.5
    url: str = ""

    async def health(self, _request: web.Request) -> web.Response:
        found = await asyncio.to_thread(self.client.container, MINIO)
        well = found.image_id == self.images.v1.id and found.running
        return web.Response(status=200 if well else 503)

    async def query(self, _request: web.Request) -> web.Response:
        """As Prometheus answers an instant query. Source: its documentation, "HTTP API"."""
        series = {"metric": {"mountpoint": "/"}, "value": [1772330400, str(self.room)]}
        data = {"resultType": "vector", "result": [series]}
        return web.json_response({"status": "success", "data": data})

    def receiver(self, mode: str = "auto") -> AbstractAsyncContextManager[Running]:
        return receiver(
            self.settings.state_dir.parent,
            # Its health check has its first word late on a machine that is busy.
            policy_text(ROW, local=mode, verify_deadline="120s"),
            DOCKER_HOST=self.project.engine.host,
            MINIO_URL=self.url,
            PROMETHEUS_URL=self.url,
            COMPOSE_PROJECT_DIR=self.project.directory,
            BACKUP_DIR=self.settings.backup_dir,
            APP_SERVICE=APP,
            MINIO_SERVICE=MINIO,
        )

    def remember(self, ago: timedelta) -> None:
        """v1 proved good as MinIO; ``ago`` v2 took over."""
        began, ledger = datetime.now(UTC) - ago, Ledger()
        first = began - timedelta(days=9)
        for image, at in ((self.images.v1, first), (self.images.v2, began)):
            ledger = observe(ledger, "minio", Facts(image.tag, image.id, tag=image.tag), at)
            for minutes in (0, 15):
                now = at + timedelta(minutes=minutes)
                ledger = judge(ledger, "minio", at == first, now, timedelta(minutes=15))
        LedgerFile(self.settings.state_dir / "versions.json").save(ledger)


@pytest.fixture
async def storage(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> AsyncIterator[Storage]:
    made = Storage(running, settings, client, app_images)
    served = web.Application()
    served.router.add_get("/minio/health/{which}", made.health)
    served.router.add_get("/api/v1/query", made.query)
    async with TestServer(served) as server:
        made.url = str(server.make_url("")).rstrip("/")
        yield made
    if client.container(MINIO).image_id != app_images.v2.id:
        running.write(app_images.v2.tag)  # without the pin
        await asyncio.to_thread(running.up)


def down() -> dict[str, Any]:
    return body(alert("MinIODown"))


async def test_it_goes_back_where_its_image_has_changed_lately(storage: Storage) -> None:
    storage.remember(timedelta(hours=2))
    app = storage.client.container(APP).id
    async with storage.receiver() as running:
        await running.post(down())
        incident = await running.until(ended("rollback", "done", "failed", "refused"), "the end")
    rollback = step(incident, "rollback")
    assert rollback["state"] == "done", rollback
    assert storage.client.container(MINIO).image_id == storage.images.v1.id
    assert storage.client.container(APP).id == app
    assert "verified" in incident["verdict"]


@pytest.mark.parametrize(
    ("ago", "room", "words"),
    [
        (timedelta(days=3), 0.5, "MinIO's image has not changed within 1d"),
        (timedelta(hours=2), 0.01, "has 1.0% left: no image cures that"),
    ],
)
async def test_it_waits_where_an_older_image_cures_nothing(
    storage: Storage, ago: timedelta, room: float, words: str
) -> None:
    storage.remember(ago)
    storage.room = room
    async with storage.receiver() as running:
        await running.post(down())
        incident = await running.until(
            lambda i: words in step(i, "rollback").get("words", ""), "the words"
        )
        assert step(incident, "rollback")["state"] == "pending"
    assert storage.client.container(MINIO).image_id == storage.images.v2.id


async def test_github_has_no_way_for_it(storage: Storage) -> None:
    storage.remember(timedelta(hours=2))
    async with storage.receiver("never") as running:
        await running.post(down())
        incident = await running.until(ended("rollback", "refused"), "the refusal")
    words = step(incident, "rollback")["words"]
    assert "GitHub's workflow rolls back the application alone" in words
    assert words.endswith("sermon-recovery rollback --service minio")
