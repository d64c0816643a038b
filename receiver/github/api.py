"""How GitHub is spoken to: credentials, API version, limits, conditional requests.

Facts are from github/docs: content/rest/using-the-rest-api (rate limits, best practices,
troubleshooting) and content/rest/about-the-rest-api (versions, breaking changes).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from pydantic import SecretStr

from receiver.github.verdict import Trouble, verdict
from receiver.http import Answer, Http
from receiver.telling.delivery import DeliveryError
from target.probe import USER_AGENT

API_VERSIONS: Final = ("2026-03-10", "2022-11-28")
"""Newest first: the first answers a dispatch with the run's id, the second with an empty 204."""
JSON: Final = "application/vnd.github+json"
RAW: Final = "application/vnd.github.raw+json"
MUTATION_GAP_SECONDS: Final = 1.0
BAD_CREDENTIALS_SECONDS: Final = 600.0
_REMEMBERED: Final = 32
_EXPIRATION: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:UTC|([+-])(\d\d):?(\d\d))")
Value = TypeVar("Value")


class Api:
    """GitHub through one token. Every method raises DeliveryError; ``ambiguous`` means that GitHub may have acted."""

    def __init__(
        self,
        http: Http,
        token: SecretStr,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._http = http
        self._token = token
        self._authorization = SecretStr(f"Bearer {token.get_secret_value()}")
        self._clock = clock
        self._sleep = sleep
        self._version = API_VERSIONS[0]
        self._mutation = asyncio.Lock()
        self._next_mutation = 0.0
        self._refusal: tuple[float, DeliveryError] | None = None
        self._known: OrderedDict[str, tuple[str, Any]] = OrderedDict()
        self.token_expires: datetime | None = None
        """What the last answer said of it. Only a hint: see token_expiration()."""

    async def ask(
        self, url: str, *, accept: str = JSON, accepted: tuple[int, ...] = (200,)
    ) -> Answer:
        return await self._exchange("GET", url, {"Accept": accept}, None, accepted)

    async def ask_again(
        self, url: str, read: Callable[[Answer], Value], *, accept: str = JSON
    ) -> Value:
        """What ``read`` makes of the answer. An unchanged one costs nothing of the rate limit (ETag)."""
        known = self._known.get(url)
        extra = {"Accept": accept, **({"If-None-Match": known[0]} if known else {})}
        answer = await self._exchange("GET", url, extra, None, (200, 304))
        if answer.status == 304:
            if known is None:
                raise DeliveryError(
                    "GitHub answered 304 to a question without a condition", code=304
                )
            value: Value = known[1]
            return value
        value = read(answer)
        if etag := answer.headers.get("ETag"):
            self._known[url] = (etag, value)
            self._known.move_to_end(url)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return value

    async def change(self, url: str, body: Any, *, accepted: tuple[int, ...]) -> Answer:
        """GitHub asks for one change at a time, and a second between two."""
        async with self._mutation:
            early = self._next_mutation - self._clock()
            if early > 0:
                await self._sleep(early)
            try:
                return await self._exchange("POST", url, {"Accept": JSON}, body, accepted)
            finally:
                self._next_mutation = self._clock() + MUTATION_GAP_SECONDS

    async def _exchange(
        self, method: str, url: str, extra: Mapping[str, str], body: Any, accepted: tuple[int, ...]
    ) -> Answer:
        self._check_refusal()
        answer = await self._send(method, url, extra, body)
        if answer.status == 400 and self._version != API_VERSIONS[-1] and _names_version(answer):
            self._version = API_VERSIONS[-1]  # a 400 did nothing: sending again is safe
            answer = await self._send(method, url, extra, body)
        error = verdict(answer, accepted, changes=method != "GET")
        if error is None:
            self.token_expires = token_expiration(answer.headers)
            return answer
        if error.retry_after:
            self._refusal = (self._clock() + error.retry_after, error)
        if error.code == 401:
            # Going on with bad credentials makes GitHub refuse the user's good ones too.
            self._refusal = (self._clock() + BAD_CREDENTIALS_SECONDS, error)
        raise error

    def _check_refusal(self) -> None:
        """While GitHub asked for silence, nothing is sent. Raises the refusal again."""
        if self._refusal is None:
            return
        until, error = self._refusal
        left = until - self._clock()
        if left <= 0:
            self._refusal = None
            return
        wait = None if error.permanent else left
        raise DeliveryError(
            error.words, permanent=error.permanent, retry_after=wait, code=error.code
        )

    async def _send(self, method: str, url: str, extra: Mapping[str, str], body: Any) -> Answer:
        return await self._http.request(
            method,
            url,
            headers={
                "Authorization": self._authorization,
                "X-GitHub-Api-Version": self._version,
                "User-Agent": USER_AGENT,
                **extra,
            },
            json=body,
            secret_parts=[self._token],
            follow=True,
        )


def _names_version(answer: Answer) -> bool:
    return "version" in Trouble.of(answer).message.lower()


def token_expiration(headers: Mapping[str, str]) -> datetime | None:
    """When the token ends, as GitHub's header says: ``2026-10-07 19:07:53 UTC`` or ``… +0500``.

    For a fine-grained token it has been seen to be the time of the answer itself
    (google/go-github #3708), so a time within an hour of it says nothing. Pure.
    """
    found = _EXPIRATION.fullmatch(headers.get("GitHub-Authentication-Token-Expiration", "").strip())
    if found is None:
        return None
    text, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        ends = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
        said = parsedate_to_datetime(headers.get("Date", "")).astimezone(UTC)
    except ValueError:  # a time that is none, or no Date to hold it against
        return None
    return None if ends < said + timedelta(hours=1) else ends.astimezone(UTC)
