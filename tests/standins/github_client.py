"""A plain aiohttp client of the GitHub stand-in, for the stand-in's own tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.standins.github import TOKEN, GitHub

WORKFLOW = """
name: Rollback
run-name: Rollback ${{ inputs.correlation_id || 'by hand' }}
on:
  workflow_dispatch:
    inputs:
      kind: {type: choice, options: [previous, commit], default: previous}
      reason: {type: string, required: true}
      force: {type: boolean, default: false}
      correlation_id: {type: string, default: ""}
concurrency: {group: deployment, cancel-in-progress: false}
jobs:
  rollback:
    runs-on: [self-hosted, pi]
    steps: [{run: "true"}]
"""
NEW = {"X-GitHub-Api-Version": "2026-03-10"}
REPO = "/repos/White-Plains-Gospel-Chapel/sermon-uploader"
FLOW = f"{REPO}/actions/workflows/rollback.yml"
GOOD = {"ref": "main", "inputs": {"reason": "test", "correlation_id": "abc"}}


class Client:
    """A plain client of one stand-in: status and JSON of each answer."""

    def __init__(self, http: aiohttp.ClientSession, github: GitHub) -> None:
        self.http = http
        self.github = github

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.http.get(self.github.base_url + path, headers=headers) as answer:
            return answer.status, await answer.json() if answer.content_length else None

    async def post(
        self, path: str, body: object = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, Any]:
        url = self.github.base_url + path
        async with self.http.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json() if answer.content_length else None


@asynccontextmanager
async def connected(
    folder: Path, workflows: Iterable[Path] = (), **options: Any
) -> AsyncIterator[Client]:
    """A started stand-in, made with ``options``, and its client. Its workflows are these, else two in ``folder``."""
    rollback, ci = folder / "rollback.yml", folder / "ci.yml"
    rollback.write_text(WORKFLOW, encoding="utf-8")
    ci.write_text("on: push\njobs: {a: {runs-on: ubuntu-latest}}", encoding="utf-8")
    headers = {"User-Agent": "test", "Authorization": f"Bearer {TOKEN}"}
    async with (
        GitHub(workflows or [rollback, ci], **options) as github,
        aiohttp.ClientSession(headers=headers) as http,
    ):
        yield Client(http, github)
