"""The one way out by HTTP: a deadline, a verdict on each failure, and no secret in any text."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from multidict import CIMultiDict
from pydantic import SecretStr

from receiver.connecting import no_connection
from receiver.telling.delivery import DeliveryError, File

MAX_ANSWER_BYTES = 1024 * 1024
DEADLINE_SECONDS = 10.0
_MAX_HOPS = 3
_REDIRECTS = (301, 302, 307)
_READING = ("GET", "HEAD")
_MASK = "[redacted]"


@dataclass(frozen=True)
class Answer:
    """What came back, with every secret of the request already masked in headers and body.

    ``headers`` ignores case. ``cut`` says that the body was longer than 1 MiB and ends there.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False

    def json(self) -> Any:
        """The parsed body. Raises ValueError in words where it is not whole, valid JSON."""
        if self.cut:
            raise ValueError(f"an answer longer than {MAX_ANSWER_BYTES} bytes")
        try:
            return jsonlib.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"an answer that is not JSON: {self.words(80)!r}") from error

    def words(self, limit: int = 200) -> str:
        """The beginning of the body on one line, for a message to people."""
        return " ".join(self.body[: limit * 4].decode("utf-8", "replace").split())[:limit]


@dataclass(frozen=True)
class _Call:
    """One request; its repr shows no secret, so that a traceback with locals shows none either."""

    method: str
    url: str | SecretStr
    headers: Mapping[str, str | SecretStr]
    json: Any
    secrets: tuple[str, ...]
    deadline: float
    files: Sequence[File] = ()

    def __repr__(self) -> str:
        return f"{self.method} {self.redact(_reveal(self.url))}"

    def redact(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, _MASK)
        return text

    def revealed_headers(self) -> dict[str, str]:
        return {name: _reveal(value) for name, value in self.headers.items()}


def _reveal(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _texts(headers: Mapping[str, str | SecretStr], parts: Sequence[SecretStr]) -> tuple[str, ...]:
    """Every text to be masked, the longest first, so that no part of one is left over."""
    hidden = [*parts, *(value for value in headers.values() if isinstance(value, SecretStr))]
    return tuple(sorted({_reveal(part) for part in hidden} - {""}, key=len, reverse=True))


def open_session() -> aiohttp.ClientSession:
    """A session as Http wants it: no cookies, and a fresh connection for each request.

    On a kept connection that the other side has just closed, nobody could tell whether a POST had
    been received; on a fresh one such a failure means that something went wrong in earnest.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True), cookie_jar=aiohttp.DummyCookieJar()
    )


class Http:
    """Sends one request and returns its answer, whatever the status."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(
        self,
        method: str,
        url: str | SecretStr,
        *,
        headers: Mapping[str, str | SecretStr],
        json: Any = None,
        files: Sequence[File] = (),
        secret_parts: Sequence[SecretStr] = (),
        timeout: float = DEADLINE_SECONDS,  # noqa: ASYNC109 - the deadline of the whole exchange
        follow: bool = False,
    ) -> Answer:
        """Send ``json`` (None: no body) and read at most 1 MiB of the answer within ``timeout`` seconds.

        ``files`` go beside it as Discord takes them: ``payload_json`` and
        ``files[n]`` of a multipart form (discord-api-docs, reference, "Uploading Files").

        ``secret_parts`` are masked wherever they might come back, and so is each SecretStr among
        ``headers``. ``follow``: a GET goes after 301, 302 and 307, at most three times, taking its
        headers along to the same origin only; nothing else ever does.

        Raises DeliveryError when no answer came: ``ambiguous`` where a request that changes
        something may have been received, never where no connection came about.
        """
        # No name of this frame holds them: a traceback may be shown with its names.
        call = _Call(method, url, headers, json, _texts(headers, secret_parts), timeout, files)
        answer = await self._one(call)
        for _ in range(_MAX_HOPS if follow and method == "GET" else 0):
            moved = _moved(call, answer)
            if moved is None:
                break
            call = moved
            answer = await self._one(call)
        return answer

    async def _one(self, call: _Call) -> Answer:
        outcome = await self._attempt(call)
        if isinstance(outcome, DeliveryError):
            # Raised here and not where it was caught: aiohttp's own exceptions hold the URL, and
            # this one must not have them as its context.
            raise outcome
        return outcome

    async def _attempt(self, call: _Call) -> Answer | DeliveryError:
        limits = aiohttp.ClientTimeout(total=call.deadline, connect=call.deadline / 2)
        headers = call.revealed_headers()
        body = _body(call)
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                call.method,
                _reveal(call.url),
                headers=headers,
                data=body,
                timeout=limits,
                allow_redirects=False,
            ) as answer:
                return await _read(call, answer)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return _failure(call, error)


def _body(call: _Call) -> bytes | aiohttp.FormData | None:
    """A form names its own content type."""
    if call.json is None:
        return None
    text = jsonlib.dumps(call.json)
    if not call.files:
        return text.encode()
    form = aiohttp.FormData()
    form.add_field("payload_json", text, content_type="application/json")
    for number, file in enumerate(call.files):
        kind = file.media_type
        form.add_field(f"files[{number}]", file.content, filename=file.name, content_type=kind)
    return form


async def _read(call: _Call, answer: aiohttp.ClientResponse) -> Answer:
    body = bytearray()
    async for chunk in answer.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    cut = len(body) > MAX_ANSWER_BYTES
    clean = bytes(body[:MAX_ANSWER_BYTES])
    for secret in call.secrets:
        clean = clean.replace(secret.encode(), _MASK.encode())
    headers = CIMultiDict((name, call.redact(value)) for name, value in answer.headers.items())
    return Answer(answer.status, headers, clean, cut)


def _failure(call: _Call, error: Exception) -> DeliveryError:
    """The verdict on an exchange without an answer."""
    why = call.redact(" ".join(str(error).split()))[:200]
    # First, because a certificate that does not verify is a ValueError too, and no fault of the URL:
    # on a machine whose clock is wrong after its start it passes.
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        kind = call.redact(no_connection(error))
        return DeliveryError(f"{call.method} failed before anything was sent: {kind}")
    if isinstance(error, ValueError | aiohttp.NonHttpUrlClientError):
        words = f"{call.method}: the address or a header cannot be used: {type(error).__name__}"
        return DeliveryError(words, permanent=True)
    where = call.redact(f"{call.method} to {urlsplit(_reveal(call.url)).hostname}")
    changes = call.method not in _READING
    if isinstance(error, TimeoutError):
        words = f"{where}: no answer within {call.deadline:g} s"
    else:
        words = f"{where}: the connection broke: {type(error).__name__}: {why}"
    return DeliveryError(words, ambiguous=changes)


def _moved(call: _Call, answer: Answer) -> _Call | None:
    """The request for where a redirect points to; None where there is none that may be followed."""
    location = answer.headers.get("Location")
    if answer.status not in _REDIRECTS or not location:
        return None
    here = _reveal(call.url)
    try:
        there = urljoin(here, location)
        old, new = urlsplit(here), urlsplit(there)
    except ValueError:  # not a URL: the redirect stays the answer, and is judged by its status
        return None
    if new.scheme not in ("http", "https") or (old.scheme, new.scheme) == ("https", "http"):
        return None
    same = (old.scheme, old.netloc) == (new.scheme, new.netloc)
    kept = call.headers if same else {n: v for n, v in call.headers.items() if isinstance(v, str)}
    return _Call(call.method, there, kept, call.json, call.secrets, call.deadline)
