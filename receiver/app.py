"""What programs call: POST /alerts, /healthz and /readyz. What people look at is receiver/board."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from pydantic import SecretStr

from receiver.answers import UNREADABLE, problem, tell_refusal
from receiver.hearing.alertmanager import BodyError, Webhook, parse_webhook
from receiver.hearing.in_hand import BusyError, InHand
from receiver.paths import within
from receiver.seldom import Seldom
from receiver.settings import ReceiverSettings
from receiver.store.database import StoreError

log = structlog.get_logger("receiver")
MOST_PAGES = 32
"""Pages for people that are made at once."""
_PROGRAMS = ("/alerts", "/webhooks/github", "/healthz", "/readyz", "/live")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sermon-monitor"'}


class App:
    """Builds the aiohttp application. Nothing is sent or done in a request: it is committed, then 200."""

    def __init__(
        self,
        settings: ReceiverSettings,
        hear: Callable[[Webhook], Awaitable[int]],
        count: Callable[[str], None],
        ready: Callable[[], Awaitable[str]],
    ) -> None:
        """``hear`` commits a webhook: how many alerts; raises StoreError. ``count``: what became of each request.

        ``ready``: why it is not, in words.
        """
        self._settings = settings
        self._hear = hear
        self._count = count
        self._ready = ready
        self.in_hand = InHand(settings.max_body_bytes)
        self._seldom = Seldom()
        self._pages = 0

    def application(self) -> web.Application:
        app = web.Application(
            client_max_size=self._settings.max_body_bytes, middlewares=[self._not_too_many]
        )
        app.add_routes(
            [
                web.post("/alerts", self.alerts),
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
            ]
        )
        return app

    async def alerts(self, request: web.Request) -> web.Response:
        """200 committed · 400 not version 4 · 401 · 413 · 415 · 503 the store cannot take it now."""
        outcome, answer = await self._alerts(request)
        self._count(outcome)
        if outcome != "accepted":
            tell_refusal(log, self._seldom, "webhook not accepted", outcome, request, answer)
        return answer

    async def _alerts(self, request: web.Request) -> tuple[str, web.Response]:
        if not _allowed(request, self._settings.webhook_token):
            return "unauthorized", problem(401, "no or wrong credential", headers=_CHALLENGE)
        if request.content_type != "application/json":
            return "wrong_type", problem(415, "allowed: Content-Type application/json")
        try:
            body = await self.in_hand.read(request)
            with self.in_hand.whole(body):
                return await self._take(body)
        except BusyError:
            return "busy", problem(503, "too much at once; send it again")
        except (web.HTTPRequestEntityTooLarge, BodyError, *UNREADABLE) as error:
            return self._refused(error)
        except StoreError as error:
            if self._seldom.due("store") is not None:
                log.error("the store cannot take a webhook", problem=str(error))
            return "unavailable", problem(503, "the store cannot take it now")

    async def _take(self, body: bytes) -> tuple[str, web.Response]:
        """Raises BodyError or StoreError."""
        alerts = await self._hear(parse_webhook(body))
        return "accepted", web.json_response({"status": "committed", "alerts": alerts})

    def _refused(self, error: Exception) -> tuple[str, web.Response]:
        """The answer to a body that cannot be taken, whenever it may be sent again."""
        if isinstance(error, web.HTTPRequestEntityTooLarge):
            limit = self._settings.max_body_bytes
            return "too_large", problem(413, f"larger than MAX_BODY_BYTES ({limit})")
        if isinstance(error, BodyError):
            words = "not a webhook body of version 4"
            return "invalid", problem(400, words, fields=error.fields)
        return "invalid", problem(400, "the body does not arrive as its headers say")

    async def healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """The store takes a write, and the worker and the outbox run."""
        words = await self._ready()
        return web.Response(text=f"{words or 'ready'}\n", status=503 if words else 200)

    @web.middleware
    async def _not_too_many(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """People's pages cost more than what programs ask for: a crowd of them waits outside."""
        if within(request.path) in _PROGRAMS:
            return await handler(request)
        if self._pages >= MOST_PAGES:
            return web.Response(status=503, text="too many look at once; reload in a moment\n")
        self._pages += 1
        try:
            return await handler(request)
        finally:
            self._pages -= 1


def _allowed(request: web.Request, token: SecretStr | None) -> bool:
    """A bearer token; or, for a person's browser, the same token as the password of any user."""
    if token is None:
        return True
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
    elif scheme.lower() != "bearer":
        return False
    wanted = token.get_secret_value().encode()
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted)
