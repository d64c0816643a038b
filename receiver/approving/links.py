"""Signed links: whoever holds one may decide one approval, until it expires, and nothing else.

A link's token is ``ID.EXPIRY.MAC``: an HMAC-SHA256 over number and expiry with a key that never leaves
STATE_DIR. It is a secret: it stands on the card alone, in no log, no metric and no other page.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from receiver.records import Approval
from receiver.store.database import StoreError

KEY_BYTES = 32
PATH = "/approve/"
PAGE_GOOD_FOR = timedelta(minutes=15)
"""How old a page may be from which a decision is sent: what it shows must still be about now."""
_MAC_BYTES = 24
_TOKEN = re.compile(r"([1-9]\d{0,17})\.(\d{1,12})\.([A-Za-z0-9_-]{32})")
_STAMP = re.compile(r"(\d{1,12})\.([A-Za-z0-9_-]{32})")


@dataclass(frozen=True)
class Link:
    """What a token that we signed speaks of."""

    approval_id: int
    expires_at: datetime


@dataclass(frozen=True)
class Links:
    """Makes and reads tokens. ``public_url`` is where people reach us; empty: there are no links."""

    key: bytes = field(repr=False)
    public_url: str

    def url(self, one: Approval) -> str:
        """The address that stands on the card; empty where nobody could reach it."""
        return f"{self.public_url}{PATH}{self.token(one)}" if self.public_url else ""

    def token(self, one: Approval) -> str:
        expiry = int(one.expires_at.timestamp())
        return f"{one.id}.{expiry}.{self._mac('link', one.id, expiry)}"

    def read(self, token: str) -> Link | None:
        """None for what we have not signed; compared in constant time."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        number, expiry = int(match[1]), int(match[2])
        if not hmac.compare_digest(self._mac("link", number, expiry), match[3]):
            return None
        return Link(number, datetime.fromtimestamp(expiry, UTC))

    def stamp(self, token: str, now: datetime) -> str:
        """What a page of this token sends back with a decision: nobody else's page can have it."""
        made = int(now.timestamp())
        return f"{made}.{self._mac('page', token, made)}"

    def page_age(self, token: str, stamp: str, now: datetime) -> timedelta | None:
        """How old the page is; None where we have not made it for this token."""
        match = _STAMP.fullmatch(stamp)
        if match is None or not hmac.compare_digest(
            self._mac("page", token, int(match[1])), match[2]
        ):
            return None
        return now - datetime.fromtimestamp(int(match[1]), UTC)

    def _mac(self, *parts: object) -> str:
        text = "\0".join(map(str, parts)).encode()
        mac = hmac.digest(self.key, text, "sha256")[:_MAC_BYTES]
        return base64.urlsafe_b64encode(mac).decode()


def open_links(state_dir: Path, public_url: str | None) -> Links:
    """With the key of STATE_DIR, made at the first time. Raises StoreError."""
    path = state_dir / "approval.key"
    try:
        key = _read(path) or _make(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: not a key of ours; remove it: links on old cards stop working")
    return Links(key, public_url or "")


def _read(path: Path) -> bytes:
    """Nobody but us may read it. Empty where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    with os.fdopen(handle, "rb") as file:
        os.fchmod(handle, 0o600)
        return file.read(KEY_BYTES + 1) or b"\0"


def _make(path: Path) -> bytes:
    """Whole or not at all, and on the disk before it signs anything."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(handle)
    draft.replace(path)
    return key
