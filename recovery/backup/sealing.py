"""The key of a backup, and how bytes are written and read under it. Without a key they are written as they are.

BACKUP_KEY opens the data key (scrypt, AES-256-GCM), which lies wrapped in each manifest: so another
BACKUP_KEY is told from damage, and files need no password of their own. A file has a salt, by which its own
key is derived (HKDF-SHA256), and frames of FRAME bytes under AES-256-GCM, whose nonces count and mark the
last one: a frame that is changed, moved, doubled or missing is found before anything of it is used. This is
the construction of age (github.com/C2SP/C2SP, age.md, "Payload").
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from recovery.steps import StepError

FRAME = 1 << 20
TAG = 16
MAGIC = b"SMB1"
_SALT = 32
_SCRYPT = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 64 << 20}
WRONG = "BACKUP_KEY is not the key that this backup was made with"


class OtherKeyError(StepError):
    """It needs a key, and another one is given or none."""


class DamagedError(StepError):
    """Bytes are not those that were written."""


class Wrapped(BaseModel):
    """The data key, as a manifest has it. Hexadecimal."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    salt: str
    nonce: str
    box: str


@dataclass(frozen=True)
class Key:
    data: bytes
    wrapped: Wrapped

    def __repr__(self) -> str:  # it must not come into a message
        return "Key(…)"

    def part(self, purpose: str) -> bytes:
        """A key for one purpose."""
        return hmac.digest(self.data, purpose.encode(), hashlib.sha256)


def new_key(passphrase: str) -> Key:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    data, salt, nonce = os.urandom(32), os.urandom(16), os.urandom(12)
    box = AESGCM(_stretched(passphrase, salt)).encrypt(nonce, data, None)
    return Key(data, Wrapped(salt=salt.hex(), nonce=nonce.hex(), box=box.hex()))


def open_key(passphrase: str, wrapped: Wrapped) -> Key:
    """Raises OtherKeyError where it is another passphrase."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        salt, nonce, box = (bytes.fromhex(x) for x in (wrapped.salt, wrapped.nonce, wrapped.box))
        return Key(AESGCM(_stretched(passphrase, salt)).decrypt(nonce, box, None), wrapped)
    except (InvalidTag, ValueError) as error:
        raise OtherKeyError(f"{WRONG} (or its manifest is damaged)") from error


def sealed(key: Key | None, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What is written to the disk for the content ``chunks``."""
    if key is None:
        yield from chunks
        return
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt = os.urandom(_SALT)
    cipher = AESGCM(_file_key(key, salt))
    yield MAGIC + salt
    for number, (frame, last) in enumerate(_frames(chunks)):
        yield cipher.encrypt(_nonce(number, last), frame, None)


def opened(key: Key | None, file: BinaryIO) -> Iterator[bytes]:
    """The content of a file. Raises DamagedError; what was yielded before is as it was written."""
    if key is None:
        while chunk := file.read(FRAME):
            yield chunk
        return
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = file.read(len(MAGIC) + _SALT)
    if len(head) != len(MAGIC) + _SALT or not head.startswith(MAGIC):
        raise DamagedError("is not what was written")
    cipher = AESGCM(_file_key(key, head[len(MAGIC) :]))
    number, frame = 0, file.read(FRAME + TAG)
    while True:
        following = file.read(FRAME + TAG)
        try:
            yield cipher.decrypt(_nonce(number, not following), frame, None)
        except InvalidTag as error:
            raise DamagedError("is not what was written") from error
        if not following:
            return
        number, frame = number + 1, following


def _frames(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Pieces of FRAME bytes, and whether it is the last; an empty content is one empty frame."""
    held = b""
    for piece in _pieces(chunks):
        if held:
            yield held, False
        held = piece
    yield held, True


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """FRAME bytes each, and the rest. Chunks of just that length, as objects are read, are not copied."""
    parts: list[bytes | memoryview] = []
    count = 0
    for chunk in chunks:
        if not parts and len(chunk) == FRAME:
            yield chunk
            continue
        left = memoryview(chunk)
        while count + len(left) >= FRAME:
            yield b"".join((*parts, left[: FRAME - count]))
            parts, count, left = [], 0, left[FRAME - count :]
        parts.append(left)
        count += len(left)
    if count:
        yield b"".join(parts)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11) + bytes([last])


def _file_key(key: Key, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, b"sermon-monitor backup file").derive(key.data)


@lru_cache(maxsize=8)  # a verb needs it several times, and it is slow on purpose
def _stretched(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, dklen=32, **_SCRYPT)
