"""Reads a container's json-file as the Engine writes it: by the block, through rotations and truncations.

Rotation (moby daemon/logger/loggerutils/logfile.go): the file is closed, ``.1`` becomes ``.2`` and so on,
the file becomes ``.1``, and a new one is made; with max-file=1 it is truncated instead, and may have grown
past our place before the next look: so what stands before it is looked at too. What is open stays readable
under any name, so that the old file is read to its end before the next is opened. Not used from two threads
at once.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from exporter.log_json import time_of
from target.log_lines import INTERLEAVED_NANO

BLOCK_BYTES = 256 * 1024
LONGEST_ENTRY_BYTES = 1024 * 1024
"""An entry is 16 KiB, six times as much when every byte is escaped. What is longer is damaged."""
_MARK_BYTES = 64
"""An entry's end: its stamp is in it, so that no two are the same."""


class Identity(NamedTuple):
    """Which file it is, whatever its name."""

    device: int
    inode: int


class Block(NamedTuple):
    """Whole lines, whether any before them may have been missed, and whether there is nothing more for now."""

    lines: bytes
    gap: bool
    at_end: bool


class LogFile:
    """One container's log files. Every method raises OSError where they cannot be read."""

    def __init__(self, path: Path, since_nano: int = 0) -> None:
        """Open at the oldest entry that can be as new as ``since_nano``, or a little before it."""
        self._path = path
        self._rest = b""
        self._gap = False
        self._fd, self._identity, self._offset = self._first(since_nano)
        self._mark = _before(self._fd, self._offset)
        """What stands right before our place."""

    def close(self) -> None:
        """A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def read(self) -> Block:
        """The next whole lines; none when there is nothing new, or only files behind it changed."""
        data = self._behind()
        if not data and self._next():
            data = self._behind()
        self._offset += len(data)
        self._mark = (self._mark + data[-_MARK_BYTES:])[-_MARK_BYTES:]
        gap, self._gap = self._gap, False
        return Block(self._whole(data), gap, not data)

    def _whole(self, data: bytes) -> bytes:
        """Up to the last newline; what is behind it waits for its own."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._rest += data
            if len(self._rest) > LONGEST_ENTRY_BYTES:
                self._rest = self._rest[:BLOCK_BYTES]
            return b""
        lines, self._rest = self._rest + data[:end], data[end:]
        return lines.lstrip(b"\0")  # of a hole

    def _behind(self) -> bytes:
        """What stands behind our place, or from the beginning on where the file was truncated meanwhile."""
        size = len(self._mark)
        data = os.pread(self._fd, size + BLOCK_BYTES, self._offset - size)
        if data.startswith(self._mark):
            return data[size:]
        self._gap, self._rest = True, b""
        if data.startswith(bytes(size)):
            # Cut by another hand while the Engine writes on at its own place: before that is a hole.
            self._mark = bytes(size)
            return data[size:]
        # What stood between our place and the end is gone.
        self._offset, self._mark = 0, b""
        return os.pread(self._fd, BLOCK_BYTES, 0)

    def _next(self) -> bool:
        """At the end of this file: go on in the one that followed it, if there is one."""
        with suppress(FileNotFoundError):  # between the renaming and the new file, or removed
            if _is(self._path, self._identity) or not self._path.exists():
                return False
            # What was written to the old file meanwhile is left to read.
            if os.fstat(self._fd).st_size <= self._offset:
                self._fd, self._identity, self._offset = self._after()
                self._rest = self._mark = b""
            return True
        return False

    def _after(self) -> tuple[int, Identity, int]:
        """The file after the present one, opened at its beginning."""
        files = self._files()
        while True:
            place = next((n for n, one in enumerate(files) if _is(one, self._identity)), None)
            following = self._path if place is None else files[max(0, place - 1)]
            if place is None:
                # Rotated away, or packed: everything that is left comes after it.
                following, self._gap = files[-1], True
            opened = _open(following)
            again = self._files()
            if again == files and (place is None or _is(files[place], self._identity)):
                break
            os.close(opened)  # a rotation came between
            files = again
        os.close(self._fd)
        return opened, _identity(os.fstat(opened)), 0

    def _files(self) -> list[Path]:
        """The file and its rotated ones that are not packed, the newest first."""
        numbered = {
            int(found[1]): one
            for one in self._path.parent.iterdir()
            if (found := re.fullmatch(re.escape(self._path.name) + r"\.(\d{1,3})", one.name))
        }
        return [self._path, *(numbered[n] for n in sorted(numbered))]

    def _first(self, since_nano: int) -> tuple[int, Identity, int]:
        files = self._files()
        wanted = max(0, since_nano - INTERLEAVED_NANO)
        for number, path in enumerate(files):
            try:
                fd = _open(path)
            except FileNotFoundError:
                if number == 0:
                    raise
                continue
            oldest = number == len(files) - 1
            begins = 0 if oldest or not wanted else _time_at(fd, 0)
            if oldest or 0 < begins <= wanted:
                return fd, _identity(os.fstat(fd)), _place(fd, wanted) if wanted else 0
            os.close(fd)
        raise FileNotFoundError(f"{self._path}: rotated while it was opened")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino)


def _before(fd: int, at: int) -> bytes:
    begin = max(0, at - _MARK_BYTES)
    return os.pread(fd, at - begin, begin)


def _is(path: Path, identity: Identity) -> bool:
    with suppress(FileNotFoundError):
        return _identity(path.stat()) == identity
    return False


def _place(fd: int, wanted_nano: int) -> int:
    """Where an entry begins before which none is as new as ``wanted_nano``: found by halving."""
    low, high = 0, os.fstat(fd).st_size
    while high - low > BLOCK_BYTES:
        middle = (low + high) // 2
        moment = _time_at(fd, middle)
        if 0 < moment < wanted_nano:
            low = middle
        else:
            high = middle
    return _next_line(fd, low)


def _next_line(fd: int, at: int) -> int:
    """The beginning of the first whole line at or behind ``at``."""
    if at == 0:
        return 0
    at -= 1
    data = os.pread(fd, LONGEST_ENTRY_BYTES, at)
    return at + data.find(b"\n") + 1 if b"\n" in data else at + len(data)


def _time_at(fd: int, at: int) -> int:
    """The stamp of the first whole line at or behind ``at``; 0 where there is none."""
    begin = _next_line(fd, at)
    data = os.pread(fd, BLOCK_BYTES * 2, begin)
    line, newline, _ = data.partition(b"\n")
    return time_of(line) if newline else 0
