"""Whose the store is: one receiver's, or that of the command that mends it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from receiver.store.trouble import StoreError, of_system


class Owner:
    """A lock that goes with its process, however that ends."""

    def __init__(self, path: Path) -> None:
        """``path`` of the store."""
        self._path = path
        self._handle: int | None = None

    def take(self) -> None:
        """Raises StoreError where another process has it. Nothing where it is ours already."""
        if self._handle is not None:
            return
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            handle = _open(self._path.with_suffix(".lock"))
        except OSError as error:
            raise of_system(self._path, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise StoreError(f"{self._path} is in use by another receiver") from error
        self._handle = handle

    def leave(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # A lock is had on a disk that is read-only too: then at least nobody else takes the store.
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise error from None
