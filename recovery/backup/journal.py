"""What an unfinished backup has read already, so that the next try begins where a crash or a dead server ended it.

Each line is one object, under the key its own sealed line, with a checksum. What it says is believed only once
the content has been read and is right: after a power cut a name may be there and its bytes not.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recovery.backup import index
from recovery.backup.blobs import DATA, Blobs
from recovery.backup.sealing import DamagedError, Key, opened, sealed

NAME = "journal"


@dataclass(frozen=True)
class Journal:
    directory: Path
    """BACKUP_DIR."""
    key: Key | None

    @property
    def path(self) -> Path:
        return self.directory / DATA / NAME

    def read(self, contents: Blobs) -> dict[tuple[str, str], index.Entry]:
        """What was read and is still right."""
        found = {}
        for entry in self._entries():
            try:
                for _ in contents.read(entry.blob, entry.sha256, entry.bytes):
                    pass
            except (DamagedError, OSError):
                continue  # then it is read from MinIO
            found[entry.bucket, entry.key] = entry
        return found

    @contextmanager
    def writing(self) -> Iterator[Callable[[index.Entry], None]]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        lock = threading.Lock()

        def note(entry: index.Entry) -> None:
            said = b"".join(sealed(self.key, index.lines([entry])))
            with lock:
                os.write(handle, base64.b64encode(_checksum(said) + said) + b"\n")

        try:
            yield note
        finally:
            os.close(handle)

    def clear(self) -> None:
        """A whole backup has it all."""
        self.path.unlink(missing_ok=True)

    def _entries(self) -> Iterator[index.Entry]:
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in filter(None, lines):
            try:
                content = base64.b64decode(line, validate=True)
                checksum, said = content[:32], content[32:]
                if checksum == _checksum(said):
                    yield from index.parsed(opened(self.key, io.BytesIO(said)))
            except (DamagedError, ValueError):
                continue  # the end of a line that a crash cut, or of another key


def _checksum(said: bytes) -> bytes:
    return hashlib.sha256(said).digest()
