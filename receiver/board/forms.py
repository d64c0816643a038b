"""What a signed-in person sends: signing out, a yes or no, a note, a maintenance window.

Each form is answered by a redirect, so that a reload sends nothing again. Only a form of a page of ours,
made for this visitor, counts; a GET changes nothing anywhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from sqlite3 import Connection

import structlog
from aiohttp import web

from receiver import by_hand
from receiver.approving.approvals import CHOICES, Decided, decide
from receiver.board.access import COOKIE, Access, Visitor
from receiver.board.form_fields import read_form
from receiver.board.pages import Pages
from receiver.clock import Clock
from receiver.maintenance.calendar import LONGEST_REASON, problem_of
from receiver.store import messages, windows
from receiver.store.database import Database
from target.durations import format_duration, parse_duration

log = structlog.get_logger("receiver.board")
Sent = Callable[[web.Request, Visitor, Mapping[str, str]], Awaitable[web.StreamResponse]]


class Forms:
    """POST of every form."""

    def __init__(
        self,
        pages: Pages,
        access: Access,
        database: Database,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._pages = pages
        self._base = pages.frame.base
        self._access = access
        self._database = database
        self._clock = clock
        self._wake = wake

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/sign-out", self._from(self.sign_out)),
            web.post("/approvals/{id:\\d{1,18}}", self._from(self.decide)),
            web.post("/incidents/{id:\\d{1,18}}/note", self._from(self.note)),
            web.post("/maintenance", self._from(self.start)),
            web.post("/maintenance/stop", self._from(self.stop)),
        ]

    async def sign_out(
        self, _request: web.Request, _visitor: Visitor, _form: Mapping[str, str]
    ) -> web.StreamResponse:
        answer = web.HTTPSeeOther(f"{self._base}/sign-in")
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax")
        raise answer

    async def decide(
        self, request: web.Request, visitor: Visitor, form: Mapping[str, str]
    ) -> web.StreamResponse:
        """303 it counts · 400 · 409 it does not, with the reason."""
        choice = CHOICES.get(form.get("decision", ""))
        if choice is None:
            return self._pages.refusal(400, "This is no decision", "Press one of the two buttons.")
        wanted = int(request.match_info["id"])

        def change(c: Connection) -> Decided:
            return decide(c, wanted, choice, _who(visitor), self._clock.now(), self._pages.zone)

        decided = await self._database.run(change)
        if not decided.done:
            words = f"{decided.words[:1].upper()}{decided.words[1:]}."
            return self._pages.refusal(409, "It does not count any more", words)
        self._wake()
        raise web.HTTPSeeOther(f"{self._base}/approvals")

    async def note(
        self, request: web.Request, visitor: Visitor, form: Mapping[str, str]
    ) -> web.StreamResponse:
        wanted, who = int(request.match_info["id"]), _who(visitor)
        try:
            text = by_hand.text_of(form.get("text", ""), "a text")
            await self._database.run(
                lambda c: by_hand.note(c, wanted, text, who, self._clock.now())
            )
        except (ValueError, by_hand.RefusedError) as error:
            return self._pages.refusal(400, "It was not noted", f"{error}.")
        self._wake()
        raise web.HTTPSeeOther(f"{self._base}/incidents/{wanted}")

    async def start(
        self, _request: web.Request, visitor: Visitor, form: Mapping[str, str]
    ) -> web.StreamResponse:
        reason = " ".join(form.get("reason", "").split())[:LONGEST_REASON]
        try:
            length = parse_duration(form.get("length", ""))
            wrong = problem_of(length, reason)
        except ValueError as error:
            wrong = str(error)
        if wrong:
            return self._pages.refusal(400, "No maintenance was begun", f"{wrong}.")
        silence = bool(form.get("silence")) and self._pages.can_silence

        def change(c: Connection) -> None:
            who, now = _who(visitor), self._clock.now()
            windows.open_window(
                c, now, now + length, reason, "person", now, who=who, silence=silence
            )
            words = f"for {format_duration(length)}: {reason}"
            words += " (Alertmanager is silent too)" if silence else ""
            messages.add_event(c, None, "maintenance asked for", words, now, who=who)

        await self._database.run(change)
        self._wake()
        raise web.HTTPSeeOther(f"{self._base}/maintenance")

    async def stop(
        self, _request: web.Request, visitor: Visitor, _form: Mapping[str, str]
    ) -> web.StreamResponse:
        await self._database.run(lambda c: _end(c, _who(visitor), self._clock.now()))
        self._wake()
        raise web.HTTPSeeOther(f"{self._base}/maintenance")

    def _from(self, handler: Sent) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Only from a page of ours, made for whoever sends it."""

        async def checked(request: web.Request, visitor: Visitor) -> web.StreamResponse:
            if not visitor.decides:
                words = "Without BOARD_TOKEN or BOARD_USER_HEADER the board is read-only."
                return self._pages.refusal(403, "Not from here", words)
            form = await read_form(request)
            if form is None:
                return self._pages.refusal(400, "This is no form of ours", "Go back and try again.")
            if not self._access.came_from_us(request, visitor, form.get("page", "")):
                words = (
                    "It came from another page, or this one was old. Go back, reload, press again."
                )
                return self._pages.refusal(403, "This did not come from a page of ours", words)
            return await handler(request, visitor, form)

        return self._pages.for_readers(checked)


def _end(c: Connection, who: str, now: datetime) -> None:
    if ended := windows.end_windows(c, now):
        words = f"{ended} window{'s' if ended > 1 else ''} ended before time"
        messages.add_event(c, None, "maintenance ended", words, now, who=who)


def _who(visitor: Visitor) -> str:
    return f"{visitor.name} (board)"
