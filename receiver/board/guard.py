"""Whoever looks must be let in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from receiver.board.access import Access, Visitor
from receiver.board.api import told_how
from receiver.board.frame import Frame
from receiver.paths import within
from receiver.store.database import StoreError

Handler = Callable[[web.Request, Visitor], Awaitable[web.StreamResponse]]


def for_readers(
    access: Access, frame: Frame, handler: Handler
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A stranger's browser is sent to sign in, a stranger's program is told how."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        visitor = access.visitor(request)
        if visitor is None:
            if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                raise web.HTTPSeeOther(f"{frame.base}/sign-in?to={within(request.path)}")
            return told_how()
        try:
            return await handler(request, visitor)
        except StoreError as error:
            return frame.refusal(503, "Not now", f"The store cannot be used: {error}")

    return guarded
