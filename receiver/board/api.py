"""The board as JSON, for programs: ``/api/…``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from receiver import audit
from receiver.answers import UNREADABLE, as_json, problem
from receiver.approving.approvals import CHOICES, Wish, decide
from receiver.board import plain
from receiver.board.access import Access
from receiver.board.query import wanted_rows
from receiver.clock import Clock
from receiver.maintenance.calendar import Calendar, occurrences
from receiver.store import incidents
from receiver.store.database import Database, StoreError
from target.versions import Ledger

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_ASK_A_PERSON = {"WWW-Authenticate": 'Basic realm="Sermon Monitor (the password is BOARD_TOKEN)"'}


def told_how() -> web.Response:
    """What a stranger's program is answered."""
    words = "BOARD_TOKEN is needed: as a bearer token, or as the password"
    return problem(401, words, headers=_ASK_A_PERSON)


def _described(base: str) -> str:
    """Made when it is first asked for: whoever never does pays nothing."""
    from receiver.board import description  # noqa: PLC0415 - schemas of every record

    return description.text(base)


class Api:
    """Handlers of ``/api``. Nothing is done in a request: it is committed, then answered."""

    def __init__(
        self,
        access: Access,
        database: Database,
        calendar: Calendar,
        ledger: Callable[[], Awaitable[Ledger]],
        clock: Clock,
        wake: Callable[[], None],
        base: str = "",
    ) -> None:
        """``base``: what the paths of one of several deployments begin with."""
        self._base = base
        self._access = access
        self._database = database
        self._calendar = calendar
        self._ledger = ledger
        self._clock = clock
        self._wake = wake

    def routes(self) -> list[web.RouteDef]:
        one = "/api/incidents/{id:\\d{1,18}}"
        return [
            web.get("/api/incidents", self._for_readers(self.incidents)),
            web.get(one, self._for_readers(self.incident)),
            web.get(f"{one}/evidence", self._for_readers(self.evidence)),
            web.get("/api/deployments", self._for_readers(self.deployments)),
            web.get("/api/maintenance", self._for_readers(self.windows)),
            web.get("/api/approvals", self._for_readers(self.approvals)),
            web.post("/api/approvals/{id:\\d{1,18}}", self._for_readers(self.decide)),
            web.get("/api/audit", self._for_readers(self.audit)),
            web.get("/api/openapi.json", self.description),
        ]

    async def incidents(self, _request: web.Request) -> web.Response:
        shown = await self._database.run(lambda c: plain.overview(c, self._clock.now()))
        return as_json({"incidents": shown})

    async def incident(self, request: web.Request) -> web.Response:
        number, now = int(request.match_info["id"]), self._clock.now()

        def look(c: Connection) -> dict[str, Any] | None:
            return plain.whole(c, number, now) if incidents.incident(c, number) else None

        found = await self._database.run(look)
        return problem(404, f"no incident {number}") if found is None else as_json(found)

    async def evidence(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])

        def look(c: Connection) -> list[dict[str, Any]] | None:
            return plain.evidence(c, number) if incidents.incident(c, number) else None

        found = await self._database.run(look)
        if found is None:
            return problem(404, f"no incident {number}")
        return as_json({"evidence": found})

    async def deployments(self, _request: web.Request) -> web.Response:
        return as_json({"deployments": plain.deployments(await self._ledger())})

    async def description(self, _request: web.Request) -> web.Response:
        """OpenAPI: the same for everybody, and no secret."""
        text = await asyncio.to_thread(_described, self._base)
        return web.Response(text=text, content_type="application/json")

    async def windows(self, _request: web.Request) -> web.Response:
        now = self._clock.now()
        shown = await self._database.run(lambda c: plain.maintenance(c, now))
        return as_json({"maintenance": shown, "coming": coming(self._calendar, now)})

    async def approvals(self, _request: web.Request) -> web.Response:
        return as_json({"approvals": await self._database.run(plain.approvals)})

    async def decide(self, request: web.Request) -> web.Response:
        """``{"decision": "approve"|"deny", "by": NAME}``. 200 it counts · 400 · 403 · 409 it does not · 415."""
        visitor = self._access.visitor(request)
        if visitor is None or not visitor.decides:
            return problem(403, "without BOARD_TOKEN the board is read-only")
        if request.content_type != "application/json":
            return problem(415, "allowed: Content-Type application/json")
        try:
            wanted = Wish.model_validate_json(await request.read())
        except (ValidationError, web.HTTPRequestEntityTooLarge, *UNREADABLE):
            return problem(400, 'allowed: {"decision": "approve" or "deny", "by": NAME}')
        number = int(request.match_info["id"])
        if not wanted.by:
            wanted = wanted.model_copy(update={"by": visitor.name})
        decided = await self._database.run(
            lambda c: decide(
                c,
                number,
                CHOICES[wanted.decision],
                wanted.who,
                self._clock.now(),
                self._calendar.zone,
            )
        )
        if not decided.done:
            return problem(409, decided.words)
        self._wake()
        return as_json({"status": decided.words})

    async def audit(self, request: web.Request) -> web.Response:
        """``limit`` (100), ``incident``, ``since`` (RFC 3339), ``kind``, ``before``: the id in ``next``."""
        try:
            sought, limit = wanted_rows(request.query)
        except ValueError as error:
            return problem(400, str(error))
        return as_json(await self._database.run(lambda c: audit.page(c, sought, limit)))

    def _for_readers(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._access.visitor(request) is None:
                return told_how()
            try:
                return await handler(request)
            except StoreError as error:
                return problem(503, str(error))

        return guarded


def coming(calendar: Calendar, now: datetime) -> list[dict[str, Any]]:
    """The recurring windows of the next days, in order."""
    found = occurrences(calendar, now, timedelta(days=7))
    return [asdict(one) for one in found if one.starts_at > now]
