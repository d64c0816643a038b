"""What GitHub calls: POST /webhooks/github. A run that we follow is looked at as soon as it has moved.

Nothing in a delivery is believed beyond that: what became of the run, GitHub is asked, as at every poll.
So a stolen secret makes us ask more often, and nothing else. Polling goes on beside it.

Source: docs.github.com, Webhooks, "Validating webhook deliveries" and "Webhook events and payloads".
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from datetime import datetime
from sqlite3 import Connection
from typing import Annotated

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from receiver.answers import UNREADABLE, problem, tell_refusal
from receiver.clock import Clock
from receiver.hearing.in_hand import BusyError, InHand
from receiver.hearing.numbers import WHOLE
from receiver.metrics import Metrics
from receiver.seldom import Seldom
from receiver.settings import ReceiverSettings
from receiver.store import deliveries
from receiver.store.database import Database, StoreError

PATH = "/webhooks/github"
_HEADERS = {
    "X-GitHub-Delivery": re.compile(r"[A-Za-z0-9-]{1,64}"),
    "X-GitHub-Event": re.compile(r"[a-z_]{1,64}"),
}
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")
log = structlog.get_logger("receiver")


class _Run(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[int, Field(ge=0, lt=2**63), WHOLE]
    display_title: str = Field("", max_length=2000)
    status: str = Field("", max_length=100)


class _Repository(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    full_name: str = Field(max_length=200)


class WorkflowRun(BaseModel):
    """The event workflow_run, as far as it is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    repository: _Repository
    workflow_run: _Run


def is_signed(body: bytes, header: str, secret: SecretStr) -> bool:
    """Whether ``X-Hub-Signature-256`` is the HMAC-SHA256 of the raw body; compared in constant time."""
    match = _SIGNATURE.fullmatch(header)
    wanted = hmac.digest(secret.get_secret_value().encode(), body, "sha256").hex()
    return hmac.compare_digest(match[1] if match else "", wanted)


class GitHubHook:
    """``wake`` after a step became due; ``in_hand``: what of all bodies is in memory."""

    def __init__(
        self,
        settings: ReceiverSettings,
        database: Database,
        metrics: Metrics,
        clock: Clock,
        wake: Callable[[], None],
        in_hand: InHand,
    ) -> None:
        self._secret = settings.github_webhook_secret
        self._repository = (settings.github_repo or "").lower()
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._wake = wake
        self._in_hand = in_hand
        self._seldom = Seldom()

    def routes(self) -> list[web.RouteDef]:
        """None without a secret: there is nothing here then."""
        return [web.post(PATH, self.take)] if self._secret else []

    async def take(self, request: web.Request) -> web.Response:
        """200 taken, or nothing to do · 400 · 401 · 413 · 415 · 503 not now."""
        outcome, answer = await self._take(request)
        self._metrics.github_webhooks.labels(outcome).inc()
        if answer.status != 200:
            tell_refusal(
                log, self._seldom, "webhook of GitHub not accepted", outcome, request, answer
            )
        return answer

    async def _take(self, request: web.Request) -> tuple[str, web.Response]:
        if request.content_type != "application/json":
            words = "allowed: Content-Type application/json; choose it in the webhook's settings"
            return "invalid", problem(415, words)
        try:
            body = await self._in_hand.read(request)
            with self._in_hand.whole(body):
                return await self._judge(request, body)
        except BusyError:
            return "busy", problem(503, "too much at once; send it again")
        except web.HTTPRequestEntityTooLarge as error:
            return "invalid", problem(413, f"larger than MAX_BODY_BYTES: {error.text}")
        except UNREADABLE:
            return "invalid", problem(400, "the body does not arrive as its headers say")
        except StoreError as error:
            if self._seldom.due("store") is not None:
                log.error("the store cannot take a webhook of GitHub", problem=str(error))
            return "unavailable", problem(503, "the store cannot take it now")

    async def _judge(self, request: web.Request, body: bytes) -> tuple[str, web.Response]:
        """Raises StoreError."""
        headers = request.headers
        if self._secret is None or not is_signed(
            body, headers.get("X-Hub-Signature-256", ""), self._secret
        ):
            return "unauthorized", problem(401, "no signature, or not one by our secret")
        for name, form in _HEADERS.items():
            if not form.fullmatch(headers.get(name, "")):
                return "invalid", problem(400, f"no {name}")
        if headers["X-GitHub-Event"] != "workflow_run":
            return "ignored", _answer("nothing is done about this event")
        try:
            told = WorkflowRun.model_validate_json(body)
        except ValidationError:
            return "invalid", problem(400, "not the form of the event workflow_run")
        if told.repository.full_name.lower() != self._repository:
            return "ignored", _answer("of another repository")
        return await self._hasten(headers["X-GitHub-Delivery"], told.workflow_run)

    async def _hasten(self, delivery: str, run: _Run) -> tuple[str, web.Response]:
        def change(c: Connection) -> int | None:
            now: datetime = self._clock.now()
            if not deliveries.is_new(c, delivery, now):
                return None
            return deliveries.hasten(c, run.id, run.display_title, now)

        moved = await self._database.run(change)
        if moved is None:
            return "repeat", _answer("taken before")
        if not moved:
            return "ignored", _answer("not a run that is followed")
        log.info("GitHub says that a run has moved", run=run.id, status=run.status)
        self._wake()
        return "accepted", _answer("looking at the run now")


def _answer(words: str) -> web.Response:
    return web.json_response({"status": words})
