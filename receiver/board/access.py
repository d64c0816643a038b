"""Who may see the board, who may decide on it, and that a form came from a page of ours.

Three ways in: BOARD_TOKEN as a bearer token or a password (programs), BOARD_TOKEN once on the sign-in
page (a browser, which then has a cookie), and the header of a reverse proxy that has signed the person
in (BOARD_USER_HEADER), believed only from the addresses of BOARD_PROXIES. Where neither is set we listen
on loopback alone, and the board is read-only.

The cookie is signed, holds no secret, and ends with SESSION_FOR or with another BOARD_TOKEN.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from receiver.clock import Clock
from receiver.settings import ReceiverSettings
from receiver.signing import Signer

COOKIE = "sermon_monitor_session"
SESSION_FOR = timedelta(hours=12)
FORM_GOOD_FOR = timedelta(hours=12)
LONGEST_NAME = 60
PAUSE_SECONDS = 1.0
"""After a wrong token."""
MOST_WAITING = 8
"""Wrong tokens that wait for it at once."""
_COOKIE = re.compile(r"(\d{1,12})\.([A-Za-z0-9_=-]{0,400})\.([A-Za-z0-9_-]{32})")


@dataclass(frozen=True)
class Visitor:
    """Whoever has been let in. ``name`` stands in the audit trail; ``decides``: may change things."""

    name: str
    decides: bool
    session: str = ""
    """The cookie, or what else tells one visitor's forms from another's."""
    can_leave: bool = False
    """There is a cookie to be taken away."""


def name_of(text: str) -> str:
    """One printable line of at most LONGEST_NAME characters; may be empty."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(shown.split())[:LONGEST_NAME]


class Access:
    """Lets in, and signs what a visitor carries."""

    def __init__(self, settings: ReceiverSettings, signer: Signer, clock: Clock) -> None:
        self._settings = settings
        self._signer = signer
        self._clock = clock
        self._token = settings.board_token.get_secret_value() if settings.board_token else ""
        self._trying = asyncio.Lock()
        self._waiting = 0

    @property
    def closed(self) -> bool:
        """Whether anybody has to sign in at all."""
        return bool(self._token or self._settings.board_user_header)

    @property
    def has_password(self) -> bool:
        return bool(self._token)

    def visitor(self, request: web.Request) -> Visitor | None:
        """None for a stranger."""
        if not self.closed:
            return Visitor("somebody", decides=False)
        return self._by_proxy(request) or self._by_cookie(request) or self._by_token(request)

    def is_token(self, given: str) -> bool:
        """Compared in constant time."""
        wanted = self._token.encode()
        given_bytes = given.encode("utf-8", "surrogateescape")
        return bool(wanted) and hmac.compare_digest(given_bytes, wanted)

    @property
    def crowded(self) -> bool:
        """Whether so many have just tried in vain that nobody's token is looked at."""
        return self._waiting >= MOST_WAITING

    async def tried_in_vain(self) -> None:
        """Whoever tries many tokens is slow: one at a time, whichever page they are tried on."""
        self._waiting += 1
        try:
            async with self._trying:
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            self._waiting -= 1

    def session(self, name: str) -> str:
        """A cookie's value for somebody who has shown the token."""
        ends = int((self._clock.now() + SESSION_FOR).timestamp())
        who = base64.urlsafe_b64encode(name_of(name).encode()).decode()
        return f"{ends}.{who}.{self._signer.mac('session', self._of_token(), ends, who)}"

    def stamp(self, visitor: Visitor) -> str:
        """What a form of this visitor's sends back: nobody else's page can have it."""
        return self._signer.stamp("form", visitor.session, self._clock.now())

    def came_from_us(self, request: web.Request, visitor: Visitor, stamp: str) -> bool:
        """Whether a form was sent from a page that we made for this visitor, not long ago."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        age = self._signer.age("form", visitor.session, stamp, self._clock.now())
        return age is not None and age <= FORM_GOOD_FOR

    def _by_proxy(self, request: web.Request) -> Visitor | None:
        header = self._settings.board_user_header
        if not header:
            return None
        name = name_of(request.headers.get(header, ""))
        if not name or not self._from_proxy(request.remote or ""):
            return None
        return Visitor(name, decides=True, session=f"proxy {name}")

    def _from_proxy(self, remote: str) -> bool:
        try:
            address = ipaddress.ip_address(remote.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._settings.board_proxies)

    def _by_cookie(self, request: web.Request) -> Visitor | None:
        cookie = request.cookies.get(COOKIE, "")
        match = _COOKIE.fullmatch(cookie)
        if match is None or not self._token:
            return None
        if not self._signer.holds(match[3], "session", self._of_token(), int(match[1]), match[2]):
            return None
        if self._clock.now().timestamp() >= int(match[1]):
            return None
        name = base64.urlsafe_b64decode(match[2]).decode()
        return Visitor(name or "somebody", decides=True, session=cookie, can_leave=True)

    def _by_token(self, request: web.Request) -> Visitor | None:
        """A bearer token; or the same token as the password of any user."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        name = ""
        if scheme.lower() == "basic":
            try:
                name, _, given = base64.b64decode(given, validate=True).decode().partition(":")
            except ValueError:
                return None
        elif scheme.lower() != "bearer":
            return None
        if not self.is_token(given):
            return None
        return Visitor(name_of(name) or "somebody", decides=True, session="token")

    def _of_token(self) -> str:
        """Another token makes every cookie void."""
        return hashlib.sha256(self._token.encode()).hexdigest()
