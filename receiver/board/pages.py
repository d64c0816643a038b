"""The pages that a signed-in person reads. Looking changes nothing; forms.py has what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from sqlite3 import Connection
from typing import Any

import structlog
from aiohttp import web

from receiver import audit
from receiver.board import plain
from receiver.board.access import Access, Visitor
from receiver.board.api import coming
from receiver.board.frame import Frame
from receiver.board.glance import Glance
from receiver.board.guard import Handler, for_readers
from receiver.board.looking import read_ledger
from receiver.board.now import Listed, judge, listed, remember, seen
from receiver.board.outlook import Outlook, Seer
from receiver.board.query import number, wanted_rows
from receiver.board.timeline import Entry, timeline
from receiver.clock import Clock
from receiver.deciding import gates
from receiver.deciding.situation import Lookout
from receiver.paths import within
from receiver.store import approvals, incidents, messages, news, pictures
from receiver.store.database import Database, StoreError
from receiver.store.history import History, read_history

log = structlog.get_logger("receiver.board")
A_PAGE, ROWS_A_PAGE = 15, 50
"""Incidents that are over, and rows of the trail, on one page."""
GATES_SECONDS = 5.0
"""How long a page waits for the gates of the steps that wait."""


@dataclass(frozen=True)
class Story:
    """One incident whole."""

    history: History
    entries: Sequence[Entry]


class Pages:
    """GET of every page; who may not see it is sent to sign in."""

    def __init__(
        self,
        access: Access,
        frame: Frame,
        database: Database,
        lookout: Lookout,
        glance: Glance,
        seer: Seer,
        clock: Clock,
        unready: Callable[[], str],
    ) -> None:
        self.access = access
        self.frame = frame
        self._database = database
        self._lookout = lookout
        self._settings = lookout.settings
        self._glance = glance
        self._seer = seer
        self._clock = clock
        self._unready = unready

    @property
    def zone(self) -> tzinfo:
        return self._settings.zone

    @property
    def can_silence(self) -> bool:
        return self._settings.alertmanager_url is not None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.for_readers(self.now)),
            web.get("/incidents", self.for_readers(self.incidents)),
            web.get("/incidents/{id:\\d{1,18}}", self.for_readers(self.incident)),
            web.get("/incidents/{id:\\d{1,18}}/evidence", self.for_readers(self.evidence)),
            web.get("/incidents/{id:\\d{1,18}}/picture.png", self.for_readers(self.picture)),
            web.get("/deployments", self.for_readers(self.deployments)),
            web.get("/maintenance", self.for_readers(self.maintenance)),
            web.get("/approvals", self.for_readers(self.approvals)),
            web.get("/policy", self.for_readers(self.policy)),
            web.get("/audit", self.for_readers(self.audit)),
            web.get("/status", self.status),
        ]

    def for_readers(
        self, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A stranger's browser is sent to sign in, a stranger's program is told how."""

        return for_readers(self.access, self.frame, handler)

    def refusal(self, status: int, heading: str, words: str) -> web.Response:
        return self.frame.refusal(status, heading, words)

    async def now(self, request: web.Request, visitor: Visitor) -> web.Response:
        told = await self.judged()
        lately = await self._database.run(lambda c: listed(c, incidents.ended(c, 5)))
        return await self.page(request, visitor, "now", now=told, lately=lately)

    async def judged(self) -> dict[str, Any]:
        """How everything is, as ``judge`` has it. Raises StoreError."""
        at = self._clock.now()
        sight = await self._glance.sight()
        kept = await self._database.run(lambda c: remember(c, at))
        return judge(seen(self._settings, at, self._unready(), sight, kept))

    async def incidents(self, request: web.Request, visitor: Visitor) -> web.Response:
        try:
            before = number(request.query, "before", None)
        except ValueError as error:
            return self.refusal(400, "There is no such page", str(error))

        def look(c: Connection) -> tuple[list[Listed], list[Listed]]:
            opened = [] if before else listed(c, incidents.open_incidents(c))
            return opened, listed(c, incidents.ended(c, A_PAGE + 1, before))

        opened, over = await self._database.run(look)
        older = over[A_PAGE - 1].incident.id if len(over) > A_PAGE else None
        shown = {"open": opened, "over": over[:A_PAGE], "older": older, "first": before is None}
        return await self.page(request, visitor, "incidents", **shown)

    async def incident(self, request: web.Request, visitor: Visitor) -> web.Response:
        wanted, at = int(request.match_info["id"]), self._clock.now()

        def look(c: Connection) -> Story | None:
            history = read_history(c, wanted, at)
            if history is None:
                return None
            told = timeline(messages.events(c, wanted), news.posts(c, wanted))
            return Story(history, told)

        found = await self._database.run(look)
        if found is None:
            return self.refusal(404, "There is no such incident", f"No incident {wanted}.")
        judged = await self._judged(found.history, at)
        return await self.page(
            request,
            visitor,
            "incident",
            incident=found.history.incident,
            history=found.history,
            entries=found.entries,
            gates=judged,
        )

    async def evidence(self, request: web.Request, visitor: Visitor) -> web.Response:
        wanted = int(request.match_info["id"])
        found = await self._database.run(lambda c: plain.evidence(c, wanted))
        return await self.page(request, visitor, "evidence", number=wanted, found=found)

    async def picture(self, request: web.Request, _visitor: Visitor) -> web.Response:
        """The PNG itself; its words stand on the incident's page."""
        wanted = int(request.match_info["id"])
        found = await self._database.run(lambda c: pictures.body(c, wanted))
        if found is None:
            return self.refusal(
                404, "There is no such picture", f"No picture of incident {wanted}."
            )
        return self.frame.picture(found)

    async def deployments(self, request: web.Request, visitor: Visitor) -> web.Response:
        ledger = await asyncio.to_thread(read_ledger, self._settings)
        shown = plain.deployments(ledger)[:200]
        return await self.page(
            request, visitor, "deployments", found=shown, forgotten=ledger.forgotten
        )

    async def maintenance(self, request: web.Request, visitor: Visitor) -> web.Response:
        at = self._clock.now()
        found = await self._database.run(lambda c: plain.maintenance(c, at))
        ahead = coming(self._lookout.calendar, at)
        return await self.page(
            request, visitor, "maintenance", found=found, coming=ahead, can_silence=self.can_silence
        )

    async def approvals(self, request: web.Request, visitor: Visitor) -> web.Response:
        found = await self._database.run(approvals.approvals)
        return await self.page(request, visitor, "approvals", found=found)

    async def policy(self, request: web.Request, visitor: Visitor) -> web.Response:
        found: Sequence[Outlook] = await self._seer.outlooks()
        return await self.page(request, visitor, "policy", found=found, policy=self._lookout.policy)

    async def audit(self, request: web.Request, visitor: Visitor) -> web.Response:
        query = {name: text for name, text in request.query.items() if text}
        try:
            wanted, limit = wanted_rows({"limit": str(ROWS_A_PAGE), **query})
        except ValueError as error:
            return self.refusal(400, "There is no such page", str(error))
        found = await self._database.run(lambda c: audit.page(c, wanted, limit))
        return await self.page(
            request,
            visitor,
            "audit",
            rows=found["audit"],
            older=found["next"],
            incident=wanted.incident_id or "",
            kind=wanted.kind,
        )

    async def status(self, _request: web.Request) -> web.Response:
        """For everybody, where people may know: no name, no number, no version of ours."""
        at = self._clock.now()
        sight = await self._glance.sight()
        try:
            kept = await self._database.run(lambda c: remember(c, at))
        except StoreError:
            return self.frame.page("status", status=503, state="unknown", since=None, at=at)
        critical = [one.incident for one in kept.open if one.incident.severity == "critical"]
        sick = sight.application.sick or sight.minio.sick
        state = "trouble" if sick or critical else "well"
        if kept.window and state == "trouble":
            state = "maintenance"
        if state == "well" and None in (sight.application.sick, sight.minio.sick):
            state = "unknown"
        since = min((one.opened_at for one in critical), default=None)
        return self.frame.page("status", state=state, since=since, at=at)

    async def page(
        self, request: web.Request, visitor: Visitor, name: str, **values: Any
    ) -> web.Response:
        """With what stands around every page: who reads it, and how much waits for a person."""
        edition, waiting = await self._database.run(
            lambda c: (news.edition(c), approvals.waiting(c))
        )
        return self.frame.page(
            name,
            path=within(request.path),
            visitor=visitor,
            stamp=self.access.stamp(visitor) if visitor.decides else "",
            closed=self.access.closed,
            edition=edition,
            waiting=waiting,
            dry=self._settings.dry_run,
            zone=self._settings.timezone,
            at=self._clock.now(),
            **values,
        )

    async def _judged(self, history: History, at: datetime) -> dict[int, Sequence[gates.Verdict]]:
        """How every gate stands now, of each step that waits."""
        found: dict[int, Sequence[gates.Verdict]] = {}
        if history.incident.state != "open":
            return found
        late = (gates.Verdict("all", "wait", "could not be asked in time; look again"),)
        until = asyncio.get_running_loop().time() + GATES_SECONDS
        for step in [one for one in history.steps if one.state == "pending"]:
            try:
                async with asyncio.timeout_at(until):
                    facts, _ = await self._lookout.judge(step, history, at)
                found[step.id] = gates.judge_all(facts)
            except TimeoutError:
                found[step.id] = late
        return found
