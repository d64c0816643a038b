"""Signing in: BOARD_TOKEN once, for a cookie. A wrong token costs time."""

from __future__ import annotations

import re

import structlog
from aiohttp import web

from receiver.board.access import COOKIE, SESSION_FOR, Access
from receiver.board.form_fields import read_form
from receiver.board.frame import Frame
from receiver.paths import within

log = structlog.get_logger("receiver.board")
_OURS = re.compile(r"/(incidents(/\d{1,18})?|deployments|maintenance|approvals|policy|audit)?")


class SignIn:
    """The page and its form. ``frame`` says for whose board."""

    def __init__(self, access: Access, frame: Frame) -> None:
        self._access = access
        self._frame = frame

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/sign-in", self.show), web.post("/sign-in", self.sign_in)]

    async def show(self, request: web.Request) -> web.Response:
        to = request.query.get("to", "/")
        if self._access.visitor(request) is not None:
            raise web.HTTPSeeOther(self._frame.base + _inside(to))
        return self._page(to, "")

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        """303 with a cookie · 400 no form · 403 wrong, or from another page · 503 too many try."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return self._frame.refusal(403, "This came from another page", "Sign in on this one.")
        form = await read_form(request)
        if form is None:
            return self._frame.refusal(400, "This is no form of ours", "Go back and try again.")
        to = _inside(form.get("to", "/"))
        if self._access.crowded:
            # not looked at: neither a guess the more, nor in the way of alerts
            return self._frame.refusal(503, "Too many try to sign in", "Try again in a moment.")
        if not self._access.is_token(form.get("token", "")):
            log.warning("a wrong token on the sign-in page", remote=request.remote)
            await self._access.tried_in_vain()
            return self._page(to, "That is not the token.", 403)
        answer = web.HTTPSeeOther(self._frame.base + to)
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

    def _page(self, to: str, words: str, status: int = 200) -> web.Response:
        return self._frame.page(
            "sign_in",
            status=status,
            to=_inside(to),
            words=words,
            has_password=self._access.has_password,
        )


def _inside(to: str) -> str:
    """A page of ours; anything else would send people elsewhere."""
    return to if _OURS.fullmatch(within(to)) else "/"
