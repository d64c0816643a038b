"""GitHub's own webhooks: what it sends when a run moves, signed, and sent again as it was.

Source: docs.github.com, Webhooks, "Webhook events and payloads" and "Validating webhook deliveries".
"""

from __future__ import annotations

import hmac
import io
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.standins.github_runs import Run

_ACTIONS = {"queued": "requested", "in_progress": "in_progress", "completed": "completed"}


@dataclass(frozen=True)
class Delivery:
    """One as it goes over the wire."""

    headers: Mapping[str, str]
    body: bytes


@dataclass
class Webhook:
    """A webhook of the repository's settings: sends to ``url``, signed with ``secret``; ``sent``, with what was answered."""

    url: str
    secret: str
    sent: list[tuple[Delivery, int]] = field(default_factory=list)

    def workflow_run(self, run: Run, api: str, repository: str) -> Delivery:
        """The event that tells how a run stands."""
        organization = {"login": repository.split("/", maxsplit=1)[0], "id": 1}
        body = {
            "action": _ACTIONS.get(run.status, "requested"),
            "workflow_run": run.as_json(api, repository),
            "workflow": {"id": run.workflow.id, "name": run.workflow.name, "state": "active"},
            "repository": {"id": 1, "full_name": repository, "private": True},
            "organization": organization,
            "sender": {"login": "sermon-monitor", "type": "User"},
        }
        return self.delivery("workflow_run", body)

    def delivery(self, event: str, body: Mapping[str, Any]) -> Delivery:
        raw = json.dumps(body, separators=(",", ":")).encode()
        signature = hmac.digest(self.secret.encode(), raw, "sha256").hex()
        headers = {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-GitHub-Event": event,
            "X-GitHub-Hook-ID": "292430182",
            "X-GitHub-Hook-Installation-Target-ID": "79929171",
            "X-GitHub-Hook-Installation-Target-Type": "repository",
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        return Delivery(headers, raw)

    async def send(self, delivery: Delivery) -> int:
        """Once, as GitHub does; the status of the answer."""
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                self.url, data=io.BytesIO(delivery.body), headers=delivery.headers
            ) as answer,
        ):
            await answer.read()
            self.sent.append((delivery, answer.status))
            return answer.status
