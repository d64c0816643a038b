"""Signed links: whoever holds one may decide one approval, until it expires, and nothing else.

A link's token is ``ID.EXPIRY.MAC``: signed over number and expiry (receiver/signing.py). It is a secret: it stands on the card alone, in no log, no metric and no other page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from receiver.records import Approval
from receiver.signing import Signer

PATH = "/approve/"
PAGE_GOOD_FOR = timedelta(minutes=15)
"""How old a page may be from which a decision is sent: what it shows must still be about now."""
_TOKEN = re.compile(r"([1-9]\d{0,17})\.(\d{1,12})\.([A-Za-z0-9_-]{32})")


@dataclass(frozen=True)
class Link:
    """What a token that we signed speaks of."""

    approval_id: int
    expires_at: datetime


@dataclass(frozen=True)
class Links:
    """Makes and reads tokens. ``public_url`` is where people reach us; empty: there are no links."""

    signer: Signer
    public_url: str

    def url(self, one: Approval) -> str:
        """The address that stands on the card; empty where nobody could reach it."""
        return f"{self.public_url}{PATH}{self.token(one)}" if self.public_url else ""

    def token(self, one: Approval) -> str:
        expiry = int(one.expires_at.timestamp())
        return f"{one.id}.{expiry}.{self.signer.mac('link', one.id, expiry)}"

    def read(self, token: str) -> Link | None:
        """None for what we have not signed; compared in constant time."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        number, expiry = int(match[1]), int(match[2])
        if not self.signer.holds(match[3], "link", number, expiry):
            return None
        return Link(number, datetime.fromtimestamp(expiry, UTC))

    def stamp(self, token: str, now: datetime) -> str:
        """What a page of this token sends back with a decision: nobody else's page can have it."""
        return self.signer.stamp("page", token, now)

    def page_age(self, token: str, stamp: str, now: datetime) -> timedelta | None:
        """How old the page is; None where we have not made it for this token."""
        return self.signer.age("page", token, stamp, now)
