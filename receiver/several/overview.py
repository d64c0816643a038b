"""The first page of several deployments: how each of them is, in one look, and the way to its board."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from receiver.answers import as_json
from receiver.board.access import Access, Visitor
from receiver.board.api import told_how
from receiver.board.frame import Frame
from receiver.board.guard import for_readers
from receiver.board.live import Live
from receiver.board.sign_in import SignIn
from receiver.paths import base
from receiver.service import Receiver
from receiver.settings import ReceiverSettings
from receiver.store.database import StoreError

PATIENCE_SECONDS = 3.0
"""Whoever says nothing by then is told as not answering; the others are shown all the same."""
MOST_TOLD = 3
"""Incidents of one deployment; its own page has all."""


@dataclass(frozen=True)
class Line:
    """One deployment."""

    name: str
    healthy: bool
    words: Sequence[str]
    """What is wrong, or worth knowing."""
    incidents: int = 0
    waiting: int = 0
    """Questions that wait for a person."""

    @property
    def rank(self) -> tuple[bool, bool, str]:
        """Whoever needs somebody first."""
        return self.healthy, not self.waiting, self.name


class Overview:
    """``settings`` of the process."""

    def __init__(
        self, access: Access, receivers: Sequence[Receiver], settings: ReceiverSettings
    ) -> None:
        self._access = access
        self._receivers = receivers
        self._settings = settings
        self._frame = Frame(settings.zone)
        self._live = Live(self._edition)
        self._sign_in = SignIn(access, self._frame)

    def add_to(self, application: web.Application) -> None:
        application.add_routes(
            [
                web.get("/", for_readers(self._access, self._frame, self.page)),
                web.get("/live", for_readers(self._access, self._frame, self.live)),
                web.get("/api/at", self.api),
                web.get("/status", self.status),
                *self._frame.routes(),
                *self._sign_in.routes(),
            ]
        )
        application.on_shutdown.append(self._stop)

    async def page(self, _request: web.Request, _visitor: Visitor) -> web.Response:
        edition = await self._edition()
        return self._frame.page(
            "several",
            lines=await self.lines(),
            edition=edition,
            at=self._receivers[0].clock.now(),
            zone=self._settings.timezone,
            closed=self._access.closed,
        )

    async def live(self, request: web.Request, _visitor: Visitor) -> web.StreamResponse:
        return await self._live.stream(request)

    async def api(self, request: web.Request) -> web.Response:
        if self._access.visitor(request) is None:
            return told_how()
        return as_json({"at": [{**asdict(one), "path": f"{base(one.name)}/"} for one in await self.lines()]})  # fmt: skip

    async def status(self, _request: web.Request) -> web.Response:
        """For everybody, so it names none."""
        words = "Each deployment has a page of its own for that. Ask whoever looks after yours for its address."
        return self._frame.refusal(404, "Whose status?", words)

    async def lines(self) -> list[Line]:
        found = await asyncio.gather(*(_line(one) for one in self._receivers))
        return sorted(found, key=lambda one: one.rank)

    async def _edition(self) -> str:
        """Another one once there is news of any of them."""
        return "".join(await asyncio.gather(*(_edition(one) for one in self._receivers)))

    async def _stop(self, _application: web.Application) -> None:
        self._live.stop()


async def _line(receiver: Receiver) -> Line:
    name = receiver.share.name
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return _told(name, await receiver.board.summary())
    except TimeoutError:
        return Line(name, False, ["its store does not answer"])
    except StoreError as error:
        return Line(name, False, [f"store: {error}"])


def _told(name: str, summary: Mapping[str, Any]) -> Line:
    """``summary``: as ``judge`` of receiver/board/now.py has it. Pure."""
    opened = summary["incidents"]
    words = [_of_incident(one) for one in opened[:MOST_TOLD]]
    words += [f"{part['what']}: {part['words']}" for part in summary["parts"] if _counts(part)]
    return Line(name, summary["healthy"], words, len(opened), summary["waiting"])


def _of_incident(one: Mapping[str, Any]) -> str:
    what = ", ".join(one["firing"]) or "no alert fires any more"
    then = one["next"] or one["verdict"]
    return f"{what} ({one['severity']}){f': {then}' if then else ''}"


def _counts(part: Mapping[str, Any]) -> bool:
    """What is wrong, and that it is being worked at; incidents are told one by one."""
    wrong = part["level"] == "problem" and part["what"] != "incidents"
    return bool(wrong or part["what"] == "maintenance")


async def _edition(receiver: Receiver) -> str:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await receiver.board.edition()
    except (TimeoutError, StoreError):
        return "-"
