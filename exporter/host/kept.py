"""A file of /proc or /sys that is kept open: reading it again costs no path walk and no new descriptor."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PIECE_BYTES = 65536
MOST_BYTES = 16 * 2**20
"""No file of an area is near this: /proc/stat of a machine with 1,024 processors has about 1 MiB."""


class KeptFile:
    """Opened at the first reading; opened anew when the kept descriptor answers with an error.

    Only for files that the kernel makes when they are read: of a file that was replaced by another
    of its name, the old one would be read for ever.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self) -> bytes:
        """All of it. Raises OSError; ValueError when it is larger than MOST_BYTES."""
        if self._descriptor is not None:
            try:
                return _all(self._descriptor)
            except OSError:  # what it belonged to is gone; the path may lead to what came after it
                self.close()
        return _all(self.descriptor())

    def descriptor(self) -> int:
        """The open descriptor, for poll(2). Raises OSError."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptor

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def _all(descriptor: int) -> bytes:
    # A file of many records comes about a page at a time (seq_file): only an empty piece is its end.
    content = piece = os.pread(descriptor, _PIECE_BYTES, 0)
    while piece:
        if len(content) > MOST_BYTES:
            raise ValueError(f"larger than {MOST_BYTES} bytes")
        piece = os.pread(descriptor, _PIECE_BYTES, len(content))
        content += piece
    return content


def first_line(path: Path) -> str:
    """The first line of a small file, without blanks at its ends. Raises OSError."""
    with path.open("rb") as file:
        return file.readline(4096).strip().decode(errors="replace")
