"""How the lines of a log stand in what is read: the Engine's frames, a terminal's plain lines, the entries of the json-file."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

from exporter.log_frames import HEADER_BYTES
from exporter.log_json import (
    AFTER_STDERR,
    AFTER_STDOUT,
    BEFORE_BODY,
    STAMP_END_BYTES,
    decode_body,
)
from target.access_log import STDOUT

STAMP_BYTES = len("2026-01-02T15:04:05.000000000Z ")

Hold = Callable[[bytes], None]
"""Keeps what of a line is its own, its number, until it is counted with others."""
Key = tuple[bytes, ...]


class Recognised(NamedTuple):
    """What is known of the lines of a block: for each what holds it, or None; and the places of the Nones."""

    holds: list[Hold | None]
    unknown: list[int]

    def part(self, begin: int, end: int) -> Recognised:
        """Of the lines from ``begin`` up to ``end``."""
        first, last = bisect_left(self.unknown, begin), bisect_left(self.unknown, end)
        return Recognised(
            self.holds[begin:end], [place - begin for place in self.unknown[first:last]]
        )


MOST_REMEMBERED = 4096
"""Keys of one kind: some hundred kB at most for the usual, 2 MB for hostile ones."""


class Layout(NamedTuple):
    """Where in a line the body stands, and what stands around it."""

    body_at: int
    before: bytes
    """Right before the body."""
    first: bytes = b""
    """What a line of stdout begins with, where that is not the same for all."""
    after: bytes = b""
    """Right behind a body of stdout; empty: nothing."""
    end_bytes: int = 0
    """How many bytes at the end, behind ``after``, are different in every line. Some lines have fewer."""
    end: slice = slice(0)
    """What proves that a line of either stream has its newline, with the last byte of the body; empty: all have."""
    decode: Callable[[bytes], bytes] = bytes
    """Makes a body's bytes from what stands in the line."""

    def body(self, line: bytes) -> bytes:
        """The body of a line of stdout."""
        body = line[self.body_at :]
        return self.decode(body.partition(self.after)[0] if self.after else body)


FRAMES = Layout(HEADER_BYTES + STAMP_BYTES, b"Z ", first=bytes([STDOUT]))
TERMINAL = Layout(STAMP_BYTES, b"Z ")
FILE = Layout(
    len(BEFORE_BODY),
    BEFORE_BODY,
    after=AFTER_STDOUT,
    end_bytes=STAMP_END_BYTES,
    end=slice(-STAMP_END_BYTES - len(AFTER_STDERR) - 1, -STAMP_END_BYTES),
    decode=decode_body,
)
