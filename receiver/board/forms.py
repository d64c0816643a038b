"""What a signed-in person sends: signing in and out, a yes or no, a note, a maintenance window.

Each form is answered by a redirect, so that a reload sends nothing again. Only a form of a page of ours,
made for this visitor, counts; a GET changes nothing anywhere.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from sqlite3 import Connection

import structlog
from aiohttp import web

from receiver import by_hand
from receiver.approving.approvals import CHOICES, Decided, decide
from receiver.board.access import COOKIE, SESSION_FOR, Access, Visitor
from receiver.board.pages import Pages
from receiver.clock import Clock
from receiver.maintenance.calendar import LONGEST_REASON, problem_of
from receiver.store import messages, windows
from receiver.store.database import Database
from target.durations import format_duration, parse_duration

log = structlog.get_logger("receiver.board")
_MOST_FORM_BYTES = 8192
_OURS = re.compile(r"/(incidents(/\d{1,18})?|deployments|maintenance|approvals|policy|audit)?")
PAUSE_SECONDS = 1.0
"""After a wrong token: whoever tries many is slow."""
MOST_WAITING = 8
"""Wrong tokens that wait for it at once."""
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
        self._access = access
        self._database = database
        self._clock = clock
        self._wake = wake
        self._trying = asyncio.Lock()
        self._waiting = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sign-in", self.show_sign_in),
            web.post("/sign-in", self.sign_in),
            web.post("/sign-out", self._from(self.sign_out)),
            web.post("/approvals/{id:\\d{1,18}}", self._from(self.decide)),
            web.post("/incidents/{id:\\d{1,18}}/note", self._from(self.note)),
            web.post("/maintenance", self._from(self.start)),
            web.post("/maintenance/stop", self._from(self.stop)),
        ]

    async def show_sign_in(self, request: web.Request) -> web.Response:
        if self._access.visitor(request) is not None:
            raise web.HTTPSeeOther(_inside(request.query.get("to", "/")))
        return self._sign_in_page(request.query.get("to", "/"), "")

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """303 with a cookie · 400 no form · 403 wrong, or from another page · 503 too many try."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return self._pages.refusal(403, "This came from another page", "Sign in on this one.")
        form = await _read(request)
        if form is None:
            return self._pages.refusal(400, "This is no form of ours", "Go back and try again.")
        to = _inside(form.get("to", "/"))
        if (
            self._waiting >= MOST_WAITING
        ):  # not looked at: neither a guess the more, nor in the way of alerts
            return self._pages.refusal(503, "Too many try to sign in", "Try again in a moment.")
        if not self._access.is_token(form.get("token", "")):
            log.warning("a wrong token on the sign-in page", remote=request.remote)
            self._waiting += 1
            try:
                async with self._trying:
                    await asyncio.sleep(PAUSE_SECONDS)
            finally:
                self._waiting -= 1
            return self._sign_in_page(to, "That is not the token.", 403)
        answer = web.HTTPSeeOther(to)
        answer.set_cookie(
            COOKIE,
            self._access.session(form.get("name", "")),
            max_age=int(SESSION_FOR.total_seconds()),
            path="/",
            httponly=True,
            samesite="Lax",
            secure=request.secure or request.headers.get("X-Forwarded-Proto") == "https",
        )
        log.info("signed in on the board", remote=request.remote)
        raise answer

    async def sign_out(
        self, _request: web.Request, _visitor: Visitor, _form: Mapping[str, str]
    ) -> web.StreamResponse:
        answer = web.HTTPSeeOther("/sign-in")
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
        raise web.HTTPSeeOther("/approvals")

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
        raise web.HTTPSeeOther(f"/incidents/{wanted}")

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
        raise web.HTTPSeeOther("/maintenance")

    async def stop(
        self, _request: web.Request, visitor: Visitor, _form: Mapping[str, str]
    ) -> web.StreamResponse:
        await self._database.run(lambda c: _end(c, _who(visitor), self._clock.now()))
        self._wake()
        raise web.HTTPSeeOther("/maintenance")

    def _from(self, handler: Sent) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Only from a page of ours, made for whoever sends it."""

        async def checked(request: web.Request, visitor: Visitor) -> web.StreamResponse:
            if not visitor.decides:
                words = "Without BOARD_TOKEN or BOARD_USER_HEADER the board is read-only."
                return self._pages.refusal(403, "Not from here", words)
            form = await _read(request)
            if form is None:
                return self._pages.refusal(400, "This is no form of ours", "Go back and try again.")
            if not self._access.came_from_us(request, visitor, form.get("page", "")):
                words = (
                    "It came from another page, or this one was old. Go back, reload, press again."
                )
                return self._pages.refusal(403, "This did not come from a page of ours", words)
            return await handler(request, visitor, form)

        return self._pages.for_readers(checked)

    def _sign_in_page(self, to: str, words: str, status: int = 200) -> web.Response:
        return self._pages.frame.page(
            "sign_in",
            status=status,
            to=_inside(to),
            words=words,
            has_password=self._access.has_password,
        )


def _end(c: Connection, who: str, now: datetime) -> None:
    if ended := windows.end_windows(c, now):
        words = f"{ended} window{'s' if ended > 1 else ''} ended before time"
        messages.add_event(c, None, "maintenance ended", words, now, who=who)


def _inside(to: str) -> str:
    """A page of ours; anything else would send people elsewhere."""
    return to if _OURS.fullmatch(to) else "/"


def _who(visitor: Visitor) -> str:
    return f"{visitor.name} (board)"


async def _read(request: web.Request) -> Mapping[str, str] | None:
    """The fields of a form; None for anything else."""
    length = request.content_length
    if request.content_type != "application/x-www-form-urlencoded" or not (
        length and length <= _MOST_FORM_BYTES
    ):
        return None
    try:
        form = await request.post()
    except (ValueError, LookupError, web.HTTPException, web.RequestPayloadError):
        return None
    # A zero is no text: PostgreSQL takes none.
    texts = {name: value for name, value in form.items() if isinstance(value, str)}
    return {name: value.replace("\0", "\ufffd") for name, value in texts.items()}
