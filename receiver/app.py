"""The receiver's HTTP face: POST /alerts, the board and its JSON, /healthz and /readyz."""

from __future__ import annotations

import base64
import hmac
import json
import re
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Any

import jinja2
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import SecretStr, ValidationError

from receiver import audit, board
from receiver.approving.approvals import CHOICES, Wish, decide
from receiver.clock import Clock
from receiver.deciding.policy import Decision
from receiver.hearing.alertmanager import Alert, BodyError, Webhook, parse_webhook
from receiver.hearing.intake import Intake, accept
from receiver.maintenance.calendar import Calendar, occurrences
from receiver.metrics import Metrics
from receiver.settings import ReceiverSettings
from receiver.store import incidents, messages
from receiver.store.audit import Wanted
from receiver.store.database import Database, StoreError
from target.times import parse_rfc3339

log = structlog.get_logger("receiver")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_UNREADABLE = (web.RequestPayloadError, HttpProcessingError, zlib.error)
"""A Content-Encoding that is none, a chunk of no length: what the sender announced and did not send."""
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="sermon-monitor"'}
_ASK_A_PERSON = {"WWW-Authenticate": 'Basic realm="Sermon Monitor (the password is BOARD_TOKEN)"'}


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
        wake: Callable[[], None],
        unready: Callable[[], str],
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._database = database
        self._metrics = metrics
        self._clock = clock
        self._arrived = arrived
        self._wake = wake
        self._unready = unready
        self._pages = jinja2.Environment(
            loader=jinja2.PackageLoader("receiver"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )

    def application(self) -> web.Application:
        app = web.Application(client_max_size=self._settings.max_body_bytes)
        app.add_routes(
            [
                web.post("/alerts", self.alerts),
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/", self._for_readers(self.page)),
                web.get("/api/incidents", self._for_readers(self.list_incidents)),
                web.get("/api/maintenance", self._for_readers(self.list_windows)),
                web.get("/api/approvals", self._for_readers(self.list_approvals)),
                web.post("/api/approvals/{id:\\d{1,18}}", self._for_readers(self.decide)),
                web.get("/api/audit", self._for_readers(self.list_audit)),
                web.get("/api/incidents/{id:\\d{1,18}}", self._for_readers(self.one_incident)),
                web.get("/api/incidents/{id:\\d{1,18}}/evidence", self._for_readers(self.evidence)),
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
            return "unauthorized", _problem(401, "no or wrong credential", headers=_CHALLENGE)
        if request.content_type != "application/json":
            return "wrong_type", _problem(415, "allowed: Content-Type application/json")
        try:
            webhook = parse_webhook(await request.read())
        except (web.HTTPRequestEntityTooLarge, BodyError, *_UNREADABLE) as error:
            return self._refused(error)
        try:
            taken = await self._database.run(
                lambda c: accept(c, self._intake, webhook, self._clock.now())
            )
        except StoreError as error:
            log.error("the store cannot take a webhook", problem=str(error))
            return "unavailable", _problem(503, "the store cannot take it now")
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
            return "too_large", _problem(413, f"larger than MAX_BODY_BYTES ({limit})")
        if isinstance(error, BodyError):
            words = "not a webhook body of version 4"
            return "invalid", _problem(400, words, fields=error.fields)
        return "invalid", _problem(400, "the body does not arrive as its headers say")

    async def healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """The store takes a write, and the worker and the outbox run."""
        problem = self._unready()
        if not problem:
            try:
                await self._database.run(lambda c: messages.prove_writable(c, self._clock.now()))
            except StoreError as error:
                problem = str(error)
        return web.Response(text=f"{problem or 'ready'}\n", status=503 if problem else 200)

    async def page(self, _request: web.Request) -> web.Response:
        shown = await self._database.run(lambda c: board.overview(c, self._clock.now()))
        asked = [one for one in await self._database.run(board.approvals) if one["open"]]
        html = self._pages.get_template("board.html.j2").render(
            incidents=shown, settings=self._settings, asked=asked
        )
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'",
            "Cache-Control": "no-store",
        }
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def list_incidents(self, _request: web.Request) -> web.Response:
        shown = await self._database.run(lambda c: board.overview(c, self._clock.now()))
        return web.json_response({"incidents": shown}, dumps=_dumps)

    async def list_approvals(self, _request: web.Request) -> web.Response:
        shown = await self._database.run(board.approvals)
        return web.json_response({"approvals": shown}, dumps=_dumps)

    async def decide(self, request: web.Request) -> web.Response:
        """``{"decision": "approve"|"deny", "by": NAME}``. 200 it counts · 400 · 403 · 409 it does not · 415."""
        if self._settings.board_token is None:
            return _problem(403, "without BOARD_TOKEN the board is read-only")
        if request.content_type != "application/json":
            return _problem(415, "allowed: Content-Type application/json")
        try:
            wanted = Wish.model_validate_json(await request.read())
        except (ValidationError, web.HTTPRequestEntityTooLarge, *_UNREADABLE):
            return _problem(400, 'allowed: {"decision": "approve" or "deny", "by": NAME}')
        number, choice = int(request.match_info["id"]), CHOICES[wanted.decision]
        decided = await self._database.run(
            lambda c: decide(c, number, choice, wanted.who, self._clock.now())
        )
        if not decided.done:
            return _problem(409, decided.words)
        self._wake()
        return web.json_response({"status": decided.words})

    async def list_windows(self, _request: web.Request) -> web.Response:
        now = self._clock.now()
        shown = await self._database.run(lambda c: board.maintenance(c, now))
        calendar = Calendar(self._intake.policy.maintenance, self._settings.zone)
        coming = [
            asdict(one)
            for one in occurrences(calendar, now, timedelta(days=7))
            if one.starts_at > now
        ]
        return web.json_response({"maintenance": shown, "coming": coming}, dumps=_dumps)

    async def list_audit(self, request: web.Request) -> web.Response:
        """``limit`` (100), ``incident``, ``since`` (RFC 3339), ``kind``, ``before``: the id in ``next``."""
        try:
            wanted, limit = _wanted(request.query)
        except ValueError as error:
            return _problem(400, str(error))
        found = await self._database.run(lambda c: audit.page(c, wanted, limit))
        return web.json_response(found, dumps=_dumps)

    async def one_incident(self, request: web.Request) -> web.Response:
        number, now = int(request.match_info["id"]), self._clock.now()

        def look(c: Connection) -> dict[str, Any] | None:
            return board.whole(c, number, now) if incidents.incident(c, number) else None

        found = await self._database.run(look)
        if found is None:
            return _problem(404, f"no incident {number}")
        return web.json_response(found, dumps=_dumps)

    async def evidence(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])

        def look(c: Connection) -> list[dict[str, Any]] | None:
            return board.evidence(c, number) if incidents.incident(c, number) else None

        found = await self._database.run(look)
        if found is None:
            return _problem(404, f"no incident {number}")
        return web.json_response({"evidence": found}, dumps=_dumps)

    def _for_readers(self, handler: Handler) -> Handler:
        """With BOARD_TOKEN set, readers show it as a bearer token; without it we listen on loopback only."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not _allowed(request, self._settings.board_token):
                return _problem(
                    401,
                    "BOARD_TOKEN is needed: as a bearer token, or as the password",
                    headers=_ASK_A_PERSON,
                )
            try:
                return await handler(request)
            except StoreError as error:
                return _problem(503, str(error))

        return guarded


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


def _problem(
    status: int,
    words: str,
    *,
    fields: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    body: dict[str, Any] = {"error": words}
    if fields:
        body["fields"] = fields
    return web.json_response(body, status=status, headers=headers)


def _wanted(query: Mapping[str, str]) -> tuple[Wanted, int]:
    """Which rows of the audit trail, and how many. Raises ValueError in words."""
    unknown = set(query) - {"limit", "incident", "since", "kind", "before"}
    if unknown:
        raise ValueError(f"allowed: limit, incident, since, kind, before; got {min(unknown)[:40]}")
    limit = _number(query, "limit", 100) or 0
    if not 1 <= limit <= audit.MOST_A_PAGE:
        raise ValueError(f"limit: allowed: 1 to {audit.MOST_A_PAGE}")
    since = parse_rfc3339(query["since"]) if query.get("since") else None
    incident, before = _number(query, "incident", None), _number(query, "before", None)
    return Wanted(since, incident, query.get("kind", ""), before), limit


def _number(query: Mapping[str, str], name: str, default: int | None) -> int | None:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{name}: allowed: a number; got {text[:40]!r}")
    return int(text)


def _dumps(value: Any) -> str:
    return json.dumps(
        value, default=lambda item: item.isoformat() if isinstance(item, datetime) else str(item)
    )
