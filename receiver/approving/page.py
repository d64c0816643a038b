"""The page behind a card's button. Looking changes nothing; only a POST from a page of ours decides.

So a preview of the link, a prefetch or a crawler approves nothing. No script is on the page and none
may be; what it shows of a browser's history or a Referer is kept to what HTTP allows.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import Any, TypeVar

import jinja2
import structlog
from aiohttp import web

from receiver.approving.approvals import CHOICES, Choice, decide
from receiver.approving.links import PAGE_GOOD_FOR, PATH, Links
from receiver.approving.wording import title, undecidable
from receiver.clock import Clock
from receiver.deciding import gates
from receiver.deciding.situation import Lookout
from receiver.metrics import Metrics
from receiver.records import Approval, Step
from receiver.store import approvals, steps
from receiver.store.database import Database, StoreError
from receiver.store.history import History, read_history
from target.backups import newest_backup
from target.durations import format_duration
from target.times import local

Result = TypeVar("Result")
log = structlog.get_logger("receiver.approving.approvals")
LOOK_SECONDS = 20.0
"""How long the gates may take to be asked for a page."""
_MOST_FORM_BYTES = 4096


class RefusedError(Exception):
    """A page that says why not, with its status."""

    def __init__(self, status: int, heading: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.heading = heading
        self.words = words


@dataclass(frozen=True)
class _Asked:
    """An approval that can be decided, with its step."""

    approval: Approval
    step: Step
    history: History


class ApprovalPage:
    """GET shows what would be done; POST decides."""

    def __init__(
        self,
        database: Database,
        links: Links,
        lookout: Lookout,
        metrics: Metrics,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._links = links
        self._lookout = lookout
        self._metrics = metrics
        self._clock = clock
        self._wake = wake
        self._zone = lookout.settings.zone
        self._looking = asyncio.Semaphore(2)
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("receiver"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["title_of"] = title
        environment.filters["local"] = lambda moment: moment.astimezone(self._zone)
        self._template = environment.get_template("approval.html.j2")

    def routes(self) -> list[web.RouteDef]:
        path = PATH + "{token}"
        return [web.get(path, self.show, allow_head=False), web.post(path, self.press)]

    async def show(self, request: web.Request) -> web.Response:
        """200 it can be decided · 403 not our link · 410 too late, or decided · 503 the store."""
        try:
            token = request.match_info["token"]
            asked = await self._asked(token, decided=410)
            return await self._question(token, asked)
        except RefusedError as refused:
            return self._refusal(request, refused)

    async def press(self, request: web.Request) -> web.Response:
        """200 it counts · 400 no decision · 403 not from a page of ours · 409 decided, or an old page · 410 · 503."""
        try:
            token = request.match_info["token"]
            asked = await self._asked(token, decided=409)
            choice = await self._choice(request, token)
            if choice is None:
                return await self._question(token, asked, 409, "This page was old. Look again:")
            return await self._decide(request, asked.approval, choice)
        except RefusedError as refused:
            return self._refusal(request, refused)

    async def _asked(self, token: str, *, decided: int) -> _Asked:
        """What a link speaks of. Raises RefusedError, with status ``decided`` where somebody was first."""
        link = self._links.read(token)
        if link is None:
            raise RefusedError(
                403,
                "This link is not one of ours",
                "It may have been cut off or changed on its way. Use the button on the card.",
            )
        now = self._clock.now()

        def look(c: Connection) -> _Asked | None:
            one = approvals.approval(c, link.approval_id)
            if one is None:
                return None
            if one.expires_at != link.expires_at:
                raise RefusedError(
                    410,
                    "This link is not of now any more",
                    "The machine's clock was set since, or its store is another. Use the button on the card.",
                )
            step = steps.step(c, one.step_id)
            history = read_history(c, one.incident_id, now)
            return _Asked(one, step, history) if step and history else None

        asked = await self._read(look)
        if asked is None:
            raise RefusedError(
                410, "This is not asked any more", "The store knows nothing of this question."
            )
        one = asked.approval
        if one.state != "asked":
            what = f"{_sentence(undecidable(one, self._zone))}. {_became(asked.step)}"
            status = 410 if one.state in ("expired", "overtaken") else decided
            raise RefusedError(status, "There is nothing to decide any more", what)
        if now >= one.expires_at:
            raise RefusedError(
                410, "It is too late", f"The question expired {local(one.expires_at, self._zone)}."
            )
        return asked

    async def _choice(self, request: web.Request, token: str) -> Choice | None:
        """What was pressed; None where the page was old. Raises RefusedError."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise RefusedError(
                403, "This came from another page", "Open the link on the card and press there."
            )
        length = request.content_length
        if request.content_type != "application/x-www-form-urlencoded" or not (
            length and length <= _MOST_FORM_BYTES
        ):
            raise RefusedError(400, "This is no decision", "Open the link on the card.")
        try:
            form = await request.post()
        except (ValueError, web.HTTPException, web.RequestPayloadError):
            raise RefusedError(400, "This is no decision", "Open the link on the card.") from None
        age = self._links.page_age(token, str(form.get("page", "")), self._clock.now())
        if age is None:
            raise RefusedError(
                403,
                "This did not come from a page of ours",
                "Open the link on the card and press there.",
            )
        choice = CHOICES.get(str(form.get("decision", "")))
        if choice is None:
            raise RefusedError(400, "This is no decision", "Press one of the two buttons.")
        return choice if age <= PAGE_GOOD_FOR else None

    async def _decide(self, request: web.Request, one: Approval, choice: Choice) -> web.Response:
        who = f"whoever has the link, at {request.remote} (link)"
        decided = await self._read(
            lambda c: decide(c, one.id, choice, who, self._clock.now(), self._zone)
        )
        if not decided.done:
            raise RefusedError(409, "Somebody was faster", f"{decided.words.capitalize()}.")
        self._wake()
        self._metrics.approval_pages.labels(choice).inc()
        log.info("decided by the link", approval=one.id, choice=choice, remote=request.remote)
        if choice == "granted":
            words = "It begins within seconds, if every gate still agrees. The card on Discord shows how it goes."
            return self._page(200, "Approved", words, approval=one)
        return self._page(200, "Denied", "It is not done.", approval=one)

    async def _question(
        self, token: str, asked: _Asked, status: int = 200, words: str = ""
    ) -> web.Response:
        self._metrics.approval_pages.labels("shown").inc()
        now = self._clock.now()
        return self._page(
            status,
            title(asked.approval),
            words,
            approval=asked.approval,
            form=self._links.stamp(token, now),
            gates=await self._gates(asked, now),
            backup=await asyncio.to_thread(self._backup, now),
        )

    async def _gates(self, asked: _Asked, now: datetime) -> Sequence[gates.Verdict]:
        """How every other gate stands now; empty for a step that is under way."""
        if asked.step.state != "pending":
            return ()
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._looking:
                facts, _ = await self._lookout.judge(asked.step, asked.history, now)
        except TimeoutError:
            return (gates.Verdict("all", "wait", "they could not be asked in time"),)
        return [one for one in gates.judge_all(facts) if one.gate != "approved"]

    def _backup(self, now: datetime) -> str:
        if self._lookout.settings.machine == "elsewhere":
            return "on its own machine, which cannot be seen from here"
        directory = self._lookout.settings.backup_dir
        try:
            newest = newest_backup(directory)
        except OSError as error:
            return f"cannot be seen: {directory}: {error.strerror}"
        if newest is None:
            return f"there is none in {directory}"
        age = max(0, int(now.timestamp() - newest))
        exact = age - age % (3600 if age >= 86400 else 60 if age >= 60 else 1)
        return f"{format_duration(timedelta(seconds=exact))} old"

    async def _read(self, change: Callable[[Connection], Result]) -> Result:
        try:
            return await self._database.run(change)
        except StoreError as error:
            log.error("the store cannot be used for an approval", problem=str(error))
            raise RefusedError(
                503, "Not now", "The store cannot be used right now. Try again in a minute."
            ) from None

    def _refusal(self, request: web.Request, refused: RefusedError) -> web.Response:
        self._metrics.approval_pages.labels("refused").inc()
        log.warning(
            "a link was refused",
            status=refused.status,
            reason=refused.heading,
            remote=request.remote,
        )
        return self._page(refused.status, refused.heading, refused.words)

    def _page(self, status: int, heading: str, words: str, **more: Any) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        shown = {"approval": None, "form": "", "gates": (), "backup": ""} | more
        html = self._template.render(heading=heading, words=words, nonce=nonce, **shown)
        return web.Response(
            text=html, status=status, content_type="text/html", headers=_headers(nonce)
        )


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _became(step: Step) -> str:
    state = step.state if step.state != "pending" else "waiting"
    return (
        f"The {step.action.replace('_', ' ')} is {state}{': ' + step.words if step.words else ''}."
    )


def _headers(nonce: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self';"
            " frame-ancestors 'none'; base-uri 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "X-Robots-Tag": "noindex, nofollow, noarchive",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
