"""One change of a deployment at a time, whoever makes it: a lock file beside the compose file."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockHeldError(Exception):
    """Someone else holds the lock; the words say who, as they wrote it."""


@contextmanager
def exclusive(path: Path, who: str) -> Iterator[int]:
    """Hold ``path`` while the block runs; the kernel frees it even when the process is killed.

    Gives the open file: a child that inherits it holds the lock too, as long as it lives. Raises LockHeldError at once instead of waiting, and OSError where the file cannot be made.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(lock, 500).decode(errors="replace").strip()
            raise LockHeldError(holder or "someone who did not say who") from error
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{who}\n".encode(), 0)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        yield lock
        with contextlib.suppress(
            OSError
        ):  # only the holder's name; the lock itself goes with the close
            os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def holder(path: Path) -> None:
    """Raises LockHeldError where someone holds the lock right now. Nothing is made, nothing is waited for."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LockHeldError(os.read(lock, 500).decode(errors="replace").strip()) from error
    finally:
        os.close(lock)
