"""Passwords of WEB_CONFIG_FILE before the metrics: bcrypt, away from the event loop, and once for each password.

A check costs a processor a tenth of a second, on purpose. So what has been right is remembered by a hash
with a key of this process, what is wrong is checked one at a time, and who asks wrongly waits for that.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from receiver.answers import problem

OPEN = "/healthz"
"""Says nothing but that we are here."""
MOST_WAITING = 8
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="sermon-monitor"'}
_NOBODY = "$2b$10$" + "." * 53
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BasicAuth:
    """``users`` gives names and bcrypt hashes as they are now; none: everybody may."""

    def __init__(self, users: Callable[[], Mapping[str, str]]) -> None:
        self._users = users
        self._key = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}
        self._checking = asyncio.Lock()
        self._waiting = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        users = self._users()
        if not users or request.path == OPEN:
            return await handler(request)
        given = _given(request.headers.get("Authorization", ""))
        if given is None:
            return problem(401, "a name and a password are needed", headers=_CHALLENGE)
        if self._is_known(*given, users) or await self._checked(*given, users):
            return await handler(request)
        return problem(401, "not the name and password", headers=_CHALLENGE)

    def _is_known(self, name: str, password: str, users: Mapping[str, str]) -> bool:
        mark = self._mark(name, password, users.get(name, ""))
        return hmac.compare_digest(self._right.get(name, b""), mark)

    def _mark(self, name: str, password: str, hashed: str) -> bytes:
        """Another hash in the file makes what was right before void."""
        text = "\0".join((name, password, hashed)).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, key=self._key).digest()

    async def _checked(self, name: str, password: str, users: Mapping[str, str]) -> bool:
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            async with self._checking:
                fits = await asyncio.to_thread(_fits, password, users.get(name, _NOBODY))
        finally:
            self._waiting -= 1
        if fits and name in users:
            self._right[name] = self._mark(name, password, users[name])
            return True
        return False


def _given(header: str) -> tuple[str, str] | None:
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if colon else None


def _fits(password: str, hashed: str) -> bool:
    """bcrypt counts the first 72 bytes only; it refuses more, as Prometheus' own does."""
    import bcrypt

    raw = password.encode()
    if len(raw) > 72 or b"\0" in raw:
        return False
    try:
        return bcrypt.checkpw(raw, hashed.encode())
    except ValueError:  # a salt that is none
        return False
