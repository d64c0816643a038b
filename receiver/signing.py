"""What we sign, so that only what came from us comes back: links, pages, cookies.

HMAC-SHA256 with one key that never leaves STATE_DIR; every use has a name of its own within what is signed.
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

import structlog

from receiver.store.trouble import StoreError, TroubleError, of_system
from target.files import replace_bytes

log = structlog.get_logger("receiver")
KEY_BYTES = 32
_MAC_BYTES = 24
_STAMP = re.compile(r"(\d{1,12})\.([A-Za-z0-9_-]{32})")


@dataclass(frozen=True)
class Signer:
    """Signs and compares, in constant time."""

    key: bytes = field(repr=False)

    def mac(self, *parts: object) -> str:
        """32 characters of base64url; the first part is the use."""
        text = "\0".join(map(str, parts)).encode()
        mac = hmac.digest(self.key, text, "sha256")[:_MAC_BYTES]
        return base64.urlsafe_b64encode(mac).decode()

    def holds(self, mac: str, *parts: object) -> bool:
        return hmac.compare_digest(self.mac(*parts), mac)

    def stamp(self, use: str, subject: str, now: datetime) -> str:
        """What a page about ``subject`` sends back: nobody else's page can have it."""
        made = int(now.timestamp())
        return f"{made}.{self.mac(use, subject, made)}"

    def age(self, use: str, subject: str, stamp: str, now: datetime) -> timedelta | None:
        """How old the page is; None where we have not made it for this use and subject."""
        match = _STAMP.fullmatch(stamp)
        if match is None or not self.holds(match[2], use, subject, int(match[1])):
            return None
        return now - datetime.fromtimestamp(int(match[1]), UTC)


def open_signer(state_dir: Path) -> Signer:
    """With the key of STATE_DIR, made at the first time. Raises StoreError.

    Where the disk takes nothing now, with one that nobody keeps: links are good until the next start.
    """
    path = state_dir / "approval.key"
    try:
        key = _read(path) or _make(path)
    except OSError as error:
        failure = of_system(path, error)
        if not isinstance(failure, TroubleError):
            raise failure from error
        log.warning("links on cards will end with this process", problem=str(failure))
        key = secrets.token_bytes(KEY_BYTES)
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: not a key of ours; remove it: links on old cards stop working")
    return Signer(key)


def _read(path: Path) -> bytes:
    """Nobody but us may read it. Empty where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    with os.fdopen(handle, "rb") as file:
        if (
            os.fstat(handle).st_mode & 0o077
        ):  # on a read-only disk even a change to what it is fails
            os.fchmod(handle, 0o600)
        return file.read(KEY_BYTES + 1) or b"\0"


def _make(path: Path) -> bytes:
    """Whole or not at all, and on the disk before it signs anything."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    replace_bytes(path, key, lambda handle: os.fchmod(handle, 0o600))
    return key
