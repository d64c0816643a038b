"""APP_HEALTH_BODY holds wherever health is asked: before a step, after it, and by ``check``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.http import Http, open_session
from receiver.settings import ReceiverSettings
from receiver.verify import Confirmer
from target.engine import Engine
from target.verify import healthy_now, probe_once

EXPECTED = '"status":"healthy"'


@pytest.mark.parametrize(("status", "well"), [("healthy", True), ("degraded", False)])
async def test_every_look_at_the_application(tmp_path: Path, status: str, well: bool) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": status})

    app = web.Application()
    app.router.add_get("/{path:.*}", health)
    engine = Engine(f"unix://{tmp_path}/no.sock")
    async with TestServer(app) as server, open_session() as session:
        base = str(server.make_url("")).rstrip("/")
        url = f"{base}/api/health"
        values = {"APP_URL": base, "MINIO_URL": base, "APP_HEALTH_BODY": EXPECTED}
        settings = ReceiverSettings.model_validate({**values, "MINIO_HEALTH_BODY": EXPECTED})
        confirmer = Confirmer(settings, engine, Http(session))
        assert (await confirmer.look("probe")).sick is not well
        assert (await confirmer.look("minio")).sick is not well
        assert (await asyncio.to_thread(probe_once, url, 30.0, EXPECTED)).healthy is well
        sick = await asyncio.to_thread(healthy_now, url, 2, 0.0, EXPECTED)
        assert (sick is None) is well
        # What nobody asks for is not looked at.
        assert (await asyncio.to_thread(probe_once, url)).healthy
