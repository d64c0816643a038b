"""The objects' contents, each once, whatever backups have it: BACKUP_DIR/.data/ab/abcdef…

A content is written under a temporary name while its checksum is taken, and gets its name when it is
whole. The name is its SHA-256; under a key, an HMAC of it, so that names give nothing away.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from recovery.backup.sealing import FRAME, MAGIC, TAG, DamagedError, Key, opened, sealed
from target.files import named

DATA = ".data"
TEMPORARY = "tmp-"
WRITE_BEHIND = 8 << 20
"""Bytes after which the disk is told to begin, so that it works while MinIO is read and not only at the end."""


WORTH_A_THREAD = 128 << 10
"""Bytes of a chunk whose checksum takes longer than to hand it over."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True)
class Content:
    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Blobs:
    folder: Path
    """BACKUP_DIR/.data."""
    key: Key | None

    def put(self, chunks: Iterable[bytes]) -> Content:
        """Keep a content. Raises OSError, and what ``chunks`` raises; then nothing is kept."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest, count = hashlib.sha256(), 0

        def counted() -> Iterator[bytes]:
            nonlocal count
            for chunk in _hashed(digest, chunks):
                count += len(chunk)
                yield chunk

        handle, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=self.folder)  # 0600
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                _write_all(file.fileno(), sealed(self.key, counted()), self.folder)
                name = self.name(digest.hexdigest())
                path = self.path(name)
                if path.exists():  # what another backup has is replaced only by what is on the disk
                    os.fsync(file.fileno())
            path.parent.mkdir(mode=0o700, exist_ok=True)
            os.replace(temporary, path)  # noqa: PTH105 - a name, not a Path
        except BaseException:  # Ctrl-C too
            with suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108
            raise
        return Content(name, digest.hexdigest(), count)

    def read(self, name: str, sha256: str, size: int) -> Iterator[bytes]:
        """The content, piece by piece; the last one only once all is known to be right. Raises DamagedError."""
        digest, count, held = hashlib.sha256(), 0, b""
        try:
            with self.path(name).open("rb") as file:
                for chunk in opened(self.key, file):
                    digest.update(chunk)
                    count += len(chunk)
                    if held:
                        yield held
                    held = chunk
        except FileNotFoundError as error:
            raise DamagedError("is missing") from error
        if count != size or digest.hexdigest() != sha256:
            raise DamagedError("is not what was written")
        yield held

    def has(self, name: str, size: int) -> bool:
        """Whether a content of this length is there; not whether it is undamaged."""
        try:
            return self.path(name).stat().st_size == self.stored(size)
        except OSError:
            return False

    def stored(self, size: int) -> int:
        """Bytes on the disk of a content of ``size`` bytes."""
        if self.key is None:
            return size
        frames = max(1, -(-size // FRAME))
        return len(MAGIC) + 32 + size + frames * TAG

    def name(self, sha256: str) -> str:
        if self.key is None:
            return sha256
        return hmac.digest(self.key.part("names"), bytes.fromhex(sha256), hashlib.sha256).hex()

    def path(self, name: str) -> Path:
        return self.folder / name[:2] / name

    def remove_temporary(self) -> None:
        """What a crash left half written. Only for whoever holds the lock of the backups."""
        for path in self.folder.glob(f"{TEMPORARY}*"):
            path.unlink(missing_ok=True)


def _hashed(digest: _Hash, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, each hashed while whoever takes it encrypts and writes it: both leave the interpreter's lock."""
    with ThreadPoolExecutor(
        1, "checksum"
    ) as beside:  # its thread begins with the first large chunk
        at_work: Future[None] | None = None
        for chunk in chunks:
            if at_work is not None:
                at_work.result()
                at_work = None
            if len(chunk) < WORTH_A_THREAD:
                digest.update(chunk)
            else:
                at_work = beside.submit(digest.update, chunk)
            yield chunk
        if at_work is not None:
            at_work.result()


def _write_all(handle: int, pieces: Iterable[bytes], folder: Path) -> None:
    """In ``folder``, which an error names. What is on the disk already leaves the page cache: the machine's memory is for the application."""
    count = begun = 0
    for piece in pieces:
        with named(folder):
            _write(handle, piece)
        count += len(piece)
        if count - begun >= WRITE_BEHIND:
            os.posix_fadvise(handle, 0, count, os.POSIX_FADV_DONTNEED)
            begun = count


def _write(handle: int, piece: bytes) -> None:
    """All of it: a full disk takes a part first, and the next try says so."""
    view = memoryview(piece)
    while view:
        view = view[os.write(handle, view) :]
