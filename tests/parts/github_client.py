"""The GitHub client under test, against the stand-in or against any handler."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from pytest_aiohttp import AiohttpServer

from receiver.github.client import GitHub
from receiver.http import Http
from tests.parts.outgoing import Handler, Time, server
from tests.standins.github import GitHub as StandIn

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "rollback.yml"
INPUTS = {"rollback_type": "previous_version", "reason": "ServiceDown", "correlation_id": "sm-1-aa"}
OTHER = {**INPUTS, "correlation_id": "sm-1-aa-2"}
NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def github(http: Http, standin: StandIn, time: Time | None = None, **changes: str) -> GitHub:
    given = {
        "token": standin.token,
        "repo": standin.repository,
        "workflow": "rollback.yml",
        "ref": "main",
    }
    given |= changes
    return client(http, standin.base_url, time, **given)


def client(
    http: Http,
    url: str,
    time: Time | None = None,
    *,
    token: str,
    repo: str,
    workflow: str,
    ref: str,
) -> GitHub:
    time = time or Time()
    return GitHub(http, url, repo, SecretStr(token), workflow, ref, clock=time, sleep=time.sleep)


async def at(
    http: Http, aiohttp_server: AiohttpServer, handler: Handler, token: str = "t0k"
) -> GitHub:
    url = await server(aiohttp_server, handler)
    return client(http, url, token=token, repo="owner/app", workflow="rollback.yml", ref="main")
