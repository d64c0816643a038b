"""Maintenance windows mirrored as silences of Alertmanager, for those who asked for it.

A silence ends soon and is prolonged while its window is open, so that a receiver that died cannot
silence for ever. What is there is looked up by our own words before anything is made: a crash at any
instant leaves no second one. A silenced alert is told by no webhook, so Alertmanager is asked for
what fires meanwhile: visibility stays.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from receiver.clock import Clock
from receiver.hearing.alertmanager import Time
from receiver.hearing.sorting import ALL, Share
from receiver.http import Http
from receiver.records import Window
from receiver.store import windows
from receiver.store.database import Database, StoreError
from receiver.telling.delivery import DeliveryError
from target.probe import USER_AGENT

log = structlog.get_logger("silences")
LEASE = timedelta(minutes=10)
"""How far ahead of now a silence ends; it is prolonged when half of that is left."""
PACE = 15.0
"""Seconds between two looks at what is to be mirrored: our own actions pause at once, only the silence comes later."""
LOOK_EVERY = timedelta(seconds=30)
"""Between two looks at Alertmanager while a window is mirrored."""
CREATED_BY = "sermon-monitor"
SERVICES = "sermon-uploader|sermon-monitor"
"""With OWN_HOST also by the names that the rules give them where there are several hosts."""
_HEADERS = {"Accept": "application/json", "User-Agent": USER_AGENT}


class _Status(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    state: Literal["expired", "active", "pending"]


class Silence(BaseModel):
    """One of Alertmanager's. Source: its api/v2/openapi.yaml (gettableSilence)."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str
    created_by: str = Field(alias="createdBy")
    comment: str
    starts_at: Time = Field(alias="startsAt")
    ends_at: Time = Field(alias="endsAt")
    status: _Status


_SILENCES = TypeAdapter(list[Silence])


@dataclass(frozen=True)
class Plan:
    """What brings Alertmanager's silences to what is wanted. ``put``: bodies of POST /silences."""

    put: tuple[dict[str, Any], ...]
    expire: tuple[str, ...]
    kept: frozenset[str]
    """Ids of ours that stay."""


def maker(share: Share) -> str:
    """Whom Alertmanager names as the one who made a silence of ours."""
    return f"{CREATED_BY} ({share.name})" if share.name else CREATED_BY


def comment_of(window: Window) -> str:
    """By which a silence is found again; the beginning of the window makes it one of this store's."""
    return (
        f"maintenance window {window.id} of {window.starts_at:%Y-%m-%dT%H:%M:%SZ}: {window.reason}"
    )


def plan(
    wanted: Sequence[Window],
    listed: Sequence[Silence],
    heartbeat: Collection[str],
    now: datetime,
    own_host: str = "",
    share: Share = ALL,
) -> Plan:
    """Pure. Others' silences are never touched; of two for one window the first stays.

    ``share``: of several deployments that share an Alertmanager each knows its own by its name.
    """
    by = maker(share)
    mine = [one for one in listed if one.created_by == by and one.status.state != "expired"]
    by_comment: dict[str, Silence] = {}
    for one in sorted(mine, key=lambda silence: (silence.starts_at, silence.id)):
        by_comment.setdefault(one.comment, one)
    put = []
    kept: set[str] = set()
    for window in wanted:
        found = by_comment.get(comment_of(window))
        until = min(window.ends_at, now + LEASE)
        if found:
            kept.add(found.id)
        if found is None or (found.ends_at < now + LEASE / 2 and found.ends_at < until):
            put.append(_body(window, found, until, heartbeat, now, own_host, share))
    return Plan(tuple(put), tuple(one.id for one in mine if one.id not in kept), frozenset(kept))


def _body(
    window: Window,
    found: Silence | None,
    until: datetime,
    heartbeat: Collection[str],
    now: datetime,
    own_host: str,
    share: Share,
) -> dict[str, Any]:
    services = f"({SERVICES})(@{re.escape(own_host)})?" if own_host else SERVICES
    matchers = [_matcher("service", services, equal=True)]
    if heartbeat:  # that monitoring works must be seen at all times
        matchers.append(_matcher("alertname", "|".join(sorted(heartbeat)), equal=False))
    matchers += [
        {"name": name, "value": value, "isRegex": False, "isEqual": True}
        for name, value in sorted(share.match.items())
    ]
    body = {
        "matchers": matchers,
        "startsAt": _text(found.starts_at if found else now),
        "endsAt": _text(until),
        "createdBy": maker(share),
        "comment": comment_of(window),
    }
    return {"id": found.id, **body} if found else body


def _matcher(name: str, value: str, *, equal: bool) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": True, "isEqual": equal}


def _text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class Mirror:
    """Keeps Alertmanager's silences as the open windows want them."""

    def __init__(
        self,
        database: Database,
        url: str | None,
        heartbeat: Collection[str],
        http: Http,
        clock: Clock,
        missed: Callable[[str], None],
        own_host: str = "",
        share: Share = ALL,
    ) -> None:
        """``missed`` is called with a reason whenever Alertmanager should be asked what fires; ``own_host``: OWN_HOST."""
        self._own_host = own_host
        self._share = share
        self._database = database
        self._url = url
        self._heartbeat = heartbeat
        self._http = http
        self._clock = clock
        self._missed = missed
        self._done: tuple[frozenset[int] | None, datetime] = (None, clock.now())
        """The windows that are mirrored, as of when; None: it is not known."""
        self._said = ""
        self.ours: frozenset[str] = frozenset()
        """Ids of the silences that are ours: what they hide is shown here all the same."""

    async def run(self) -> None:
        while True:
            if self._url is not None:
                await self._guarded(self._url)
            await asyncio.sleep(PACE)

    async def _guarded(self, url: str) -> None:
        try:
            await self.look(url)
            problem = ""
        except (DeliveryError, StoreError) as error:
            problem = str(error)
        except Exception as fault:  # a fault of ours here must not stop what else the receiver does
            log.exception("our own fault; looking again")
            problem = type(fault).__name__
        if problem and problem != self._said:
            log.warning("Alertmanager could not be silenced; trying again", problem=problem)
        self._said = problem

    async def look(self, url: str) -> None:
        """Compare and put right, where there is anything to mirror. Raises DeliveryError or StoreError."""
        now = self._clock.now()
        recent = await self._database.run(lambda c: windows.mirrored(c, now - 2 * LEASE, now))
        wanted = [one for one in recent if one.ends_at > now]
        state = frozenset(one.id for one in wanted)
        if not recent and not self.ours:
            return
        done_state, done_at = self._done
        if done_state == state and (not wanted or now < done_at + LOOK_EVERY):
            return
        await self._put_right(url, wanted, now)
        self._done = (state, now)
        self._missed(
            "a maintenance window silences Alertmanager"
            if wanted
            else "the silence of a maintenance window has ended"
        )

    async def _put_right(self, url: str, wanted: Sequence[Window], now: datetime) -> None:
        listed = await self._listed(url)
        todo = plan(wanted, listed, self._heartbeat, now, self._own_host, self._share)
        made = {await self._put(url, body) for body in todo.put}
        for silence_id in todo.expire:
            await self._expire(url, silence_id)
        self.ours = todo.kept | made if wanted else frozenset()
        if todo.put or todo.expire:
            log.info("silences mirrored", put=len(todo.put), expired=len(todo.expire))

    async def _listed(self, url: str) -> list[Silence]:
        answer = await self._http.request(
            "GET", f"{url}/api/v2/silences", headers=_HEADERS, timeout=5.0
        )
        if answer.status != 200:
            raise DeliveryError(f"HTTP {answer.status}: {answer.words(120)}")
        try:
            return _SILENCES.validate_python(answer.json())
        except (ValidationError, ValueError) as error:
            raise DeliveryError(f"silences that are not Alertmanager's: {error}"[:200]) from error

    async def _put(self, url: str, body: dict[str, Any]) -> str:
        answer = await self._http.request(
            "POST", f"{url}/api/v2/silences", headers=_HEADERS, json=body, timeout=5.0
        )
        if answer.status != 200:
            raise DeliveryError(f"HTTP {answer.status}: {answer.words(120)}")
        try:
            return str(answer.json()["silenceID"])
        except (ValueError, KeyError, TypeError) as error:
            raise DeliveryError("an answer that is not Alertmanager's") from error

    async def _expire(self, url: str, silence_id: str) -> None:
        """One that is gone by now is as good: 0.25 answers 500 for it, later ones 404."""
        answer = await self._http.request(
            "DELETE",
            f"{url}/api/v2/silence/{quote(silence_id, safe='')}",
            headers=_HEADERS,
            timeout=5.0,
        )
        gone = answer.status == 404 or (answer.status == 500 and b"not found" in answer.body)
        if answer.status != 200 and not gone:
            raise DeliveryError(f"HTTP {answer.status}: {answer.words(120)}")
