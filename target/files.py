"""Write a file so that a reader, or a crash, never sees half of it."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Replace ``path`` atomically; an existing file keeps its mode and owner. Raises OSError."""
    path = path.resolve()
    replace_bytes(path, text.encode(), lambda handle: _like(path, handle))


def replace_bytes(path: Path, data: bytes, dress: Callable[[int], object]) -> None:
    """Replace ``path`` atomically and for good. Raises OSError.

    ``dress`` gives the new file, by its descriptor, mode and owner; until then it is 0600. A symbolic
    link stays one: what it points to is replaced.
    """
    path = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with named(path), os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            dress(file.fileno())
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:  # Ctrl-C too leaves nothing half written
        Path(name).unlink(missing_ok=True)
        raise
    sync(path.parent)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """What the kernel refuses of an open file, as a full disk does, says of which: it leaves that out itself."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def sync(folder: Path) -> None:
    """A directory's names, for good. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_filesystem(handle: int) -> None:
    """All that was written to the filesystem of this open file, names too, for good.

    Raises OSError, from Linux 5.8 on also where something that was written since ``handle`` was opened
    could not be brought to the disk; os.sync() says nothing of that, and waits for other disks too.
    Source: syncfs(2).
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(handle) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def keep_copy(path: Path, folder: Path) -> Path:
    """A copy of ``path`` in ``folder`` (made if need be) with the time in its name, 0600. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = folder / f"{path.stem}.{stamp}{path.suffix}"
    handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(path.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    sync(folder)
    return copy


def _like(path: Path, handle: int) -> None:
    """Give the new file the old one's mode and owner; whoever may not give it away keeps it."""
    try:
        status = path.stat()
    except FileNotFoundError:
        os.fchmod(handle, 0o644)
        return
    if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(handle, status.st_uid, status.st_gid)
        except PermissionError:
            # Only root gives files away; the mode below still lets in whom it let in before.
            os.fchmod(handle, status.st_mode & 0o777)
            return
    os.fchmod(handle, status.st_mode & 0o7777)
