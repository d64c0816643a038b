"""What programs call: POST /alerts, /healthz and /readyz. What people look at is receiver/board."""

from __future__ import annotations

import base64
import hmac
from collections import Counter
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web
from pydantic import SecretStr

from receiver.answers import UNREADABLE, problem
from receiver.clock import Clock
from receiver.deciding.policy import Decision
from receiver.hearing.alertmanager import Alert, BodyError, Webhook, parse_webhook
from receiver.hearing.intake import Intake, accept
from receiver.metrics import Metrics
from receiver.settings import ReceiverSettings
from receiver.store import messages
from receiver.store.database import Database, StoreError

log = structlog.get_logger("receiver")
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sermon-monitor"'}


class App:
    """Builds the aiohttp application. Nothing is sent or done in a request: it is committed, then 200."""

    def __init__(
        self,
        settings: ReceiverSettings,
        intake: Intake,
        database: Database,
        metrics: Metrics,
        clock: Clock,
        arrived: Callable[[Webhook], None],
        unready: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._arrived = arrived
        self._unready = unready

    def application(self) -> web.Application:
        app = web.Application(client_max_size=self._settings.max_body_bytes)
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
        self._metrics.webhooks.labels(outcome).inc()
        if outcome != "accepted":
            log.warning(
                "webhook not accepted", outcome=outcome, status=answer.status, remote=request.remote
            )
        return answer

    async def _alerts(self, request: web.Request) -> tuple[str, web.Response]:
        if not _allowed(request, self._settings.webhook_token):
            return "unauthorized", problem(401, "no or wrong credential", headers=_CHALLENGE)
        if request.content_type != "application/json":
            return "wrong_type", problem(415, "allowed: Content-Type application/json")
        try:
            webhook = parse_webhook(await request.read())
        except (web.HTTPRequestEntityTooLarge, BodyError, *UNREADABLE) as error:
            return self._refused(error)
        try:
            taken = await self._database.run(
                lambda c: accept(c, self._intake, webhook, self._clock.now())
            )
        except StoreError as error:
            log.error("the store cannot take a webhook", problem=str(error))
            return "unavailable", problem(503, "the store cannot take it now")
        self._note(taken)
        self._arrived(webhook)
        return "accepted", web.json_response({"status": "committed", "alerts": len(taken)})

    def _note(self, taken: Sequence[tuple[Alert, Decision]]) -> None:
        """Counters, and one line in the log for what a body says of one alert of one service."""
        seen = Counter((alert.status, alert.severity) for alert, _ in taken)
        for labels, count in seen.items():
            self._metrics.alerts.labels(*labels).inc(count)
        news = Counter(
            (alert.name, alert.status, alert.service, decision.kind, decision.reason)
            for alert, decision in taken
            if decision.kind != "repeat"
        )
        for (name, status, service, kind, reason), count in news.items():
            log.info(
                "alert",
                alert=name,
                status=status,
                service=service,
                decision=kind,
                reason=reason,
                count=count,
            )

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
        words = self._unready()
        if not words:
            try:
                await self._database.run(lambda c: messages.prove_writable(c, self._clock.now()))
            except StoreError as error:
                words = str(error)
        return web.Response(text=f"{words or 'ready'}\n", status=503 if words else 200)


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
