"""From a container's log entries to whole lines, and where to go on after a broken connection. Pure.

With ``timestamps=1`` each entry begins with the Engine's RFC 3339 stamp. A write longer than 16 KiB
comes as several entries of which only the last ends in a newline (moby/moby daemon/logger/copier.go);
a terminal's log has no frames, so there the stamps of the later ones stand inside the line.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

MAX_LINE_BYTES = 64 * 1024
"""The rest of a longer line is dropped: what counts stands at its beginning."""
ENTRY_BYTES = 16 * 1024
INTERLEAVED_NANO = 5 * 10**9
"""Two streams are written down by two goroutines: how far their stamps may be out of order."""
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z ")


class Line(NamedTuple):
    """One line of one stream, without its newline."""

    stream: int
    body: bytes


class Entry(NamedTuple):
    """One entry: its moment (0 where it has no stamp) and what was written."""

    time_nano: int
    body: bytes


def parse_entry(raw: bytes) -> Entry:
    """Take the Engine's stamp off an entry."""
    found = _STAMP.match(raw)
    seconds = _seconds(found[1]) if found else None
    if not found or seconds is None:
        return Entry(0, raw)
    return Entry(seconds * 10**9 + int((found[2] or b"0").ljust(9, b"0")), raw[found.end() :])


@lru_cache(maxsize=64)
def _seconds(text: bytes) -> int | None:
    """Since the epoch; None for a moment that there is not."""
    try:
        return int(datetime.fromisoformat(text.decode()).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


class Cursor:
    """Remembers how far each stream has been read, to the entry, so that a resumed log counts nothing twice.

    Each stream's stamps do not go back; the two are interleaved. Entries may share a stamp.
    """

    def __init__(self, since_nano: int) -> None:
        self._start = since_nano
        self._seen: dict[int, tuple[int, int]] = {}
        self._skip: dict[int, tuple[int, int]] = {}
        self._known_from = since_nano + INTERLEAVED_NANO if since_nano else 0
        """From here on every entry is new; 0 once one of them has been there."""

    @property
    def settled(self) -> bool:
        """Every entry that comes is new: they may be counted without being asked for one by one."""
        return not self._known_from

    @property
    def last_nano(self) -> int:
        """The newest stamp; 0 before the first."""
        return max((moment for moment, _ in self._seen.values()), default=0)

    def resume(self) -> int:
        """The moment to ask the Engine for (it answers from that moment on, included)."""
        self._skip = dict(self._seen)
        last = self.last_nano
        self._known_from = max(self._known_from, last + INTERLEAVED_NANO if last else 0)
        return max(self._start, last - INTERLEAVED_NANO)

    def is_new(self, stream: int, time_nano: int) -> bool:
        """Note the entry; False when it was counted before the connection broke, or is older than the start."""
        if not time_nano:
            return True
        if time_nano < self._start:
            return False
        if self._known_from and time_nano > self._known_from:
            self._skip.clear()
            self._known_from = 0
        if stream in self._skip:
            last, left = self._skip[stream]
            if time_nano < last:
                return False
            if time_nano == last and left > 0:
                self._skip[stream] = (last, left - 1)
                return False
            del self._skip[stream]
        self.advance(stream, time_nano, 1)
        return True

    def advance(self, stream: int, time_nano: int, count: int) -> None:
        """Note the stream's newest stamp and how many of the entries just read have it."""
        moment, before = self._seen.get(stream, (0, 0))
        self._seen[stream] = (time_nano, count + before if time_nano == moment else count)


class LineAssembler:
    """Joins the entries of one container's log into lines; holds at most MAX_LINE_BYTES a stream."""

    def __init__(self, *, tty: bool = False) -> None:
        self._tty = tty
        self._open: dict[int, bytearray] = {}

    @property
    def open(self) -> bool:
        """A line has begun and not ended."""
        return bool(self._open)

    def feed(self, stream: int, body: bytes) -> list[Line]:
        """The lines that this entry ends: mostly one, none while a long line goes on."""
        kept = self._open.get(stream)
        if kept is None and body.endswith(b"\n") and body.count(b"\n") == 1:
            return [Line(stream, self._finish(body[:-1]))]
        *ended, rest = body.split(b"\n")
        lines = []
        for part in ended:
            lines.append(Line(stream, self._finish(bytes(self._open.pop(stream, b"")) + part)))
        if rest:
            held = self._open.setdefault(stream, bytearray())
            held += rest[: max(0, MAX_LINE_BYTES - len(held))]
        return lines

    def _finish(self, body: bytes) -> bytes:
        if self._tty and len(body) > ENTRY_BYTES:
            body = _without_inner_stamps(body)
        return body[:MAX_LINE_BYTES]


def _without_inner_stamps(body: bytes) -> bytes:
    at = ENTRY_BYTES
    while at < len(body):
        found = _STAMP.match(body, at)
        if found:
            body = body[:at] + body[found.end() :]
        at += ENTRY_BYTES
    return body
