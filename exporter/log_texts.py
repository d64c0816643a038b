"""Counts the application's own messages that give no sign by the block: by their beginnings, which are remembered."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import compress
from operator import itemgetter

from exporter.log_layout import MOST_REMEMBERED, Hold, Key, Layout
from exporter.traffic import Traffic
from target.access_log import SIGN_BEGINNINGS, Text

_STAMP = rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d "
_STAMP_BYTES = 20
_WORD_TO = 28
"""Every sign's beginning is longer than the eight bytes behind the stamp."""


class TextLines:
    """Knows messages of one layout: each is a Text of the kind ``app`` without a sign, on either stream."""

    def __init__(self, traffic: Traffic, layout: Layout) -> None:
        self._traffic = traffic
        at = layout.body_at
        self._key_of = itemgetter(slice(at + _STAMP_BYTES, at + _WORD_TO), layout.end)
        self._stamp_of = itemgetter(slice(at - len(layout.before), at + _STAMP_BYTES))
        self._stamp = re.compile(re.escape(layout.before) + _STAMP)
        self._known: dict[Key, Hold] = {}
        self._hold: Hold = deque[bytes](maxlen=0).append

    def recognise(self, lines: Sequence[bytes]) -> list[Hold | None]:
        """For each line that it is known, by a hold that holds nothing; None for those that are not known. Counts nothing."""
        holds = list(map(self._known.get, map(self._key_of, lines)))
        stamps = set(map(self._stamp_of, compress(lines, holds)))
        if all(map(self._stamp.fullmatch, stamps)):
            return holds
        sound = [self._stamp.fullmatch(self._stamp_of(line)) for line in lines]
        return [hold if one else None for hold, one in zip(holds, sound, strict=True)]

    def learn(self, line: bytes, text: Text) -> None:
        """Remember a line that has its newline and that the exact parser has read as ``text``."""
        key = self._key_of(line)
        word = key[0]
        # A repeated stamp in brackets, or a colour, would stand before the message.
        if text != Text("app") or word.startswith(b"[") or not word.isascii():
            return
        # Nor is it known whether a backslash is JSON's, in the word or before what should be a newline.
        if any(odd in word for odd in b"\x1b\\") or len(word) < _WORD_TO - _STAMP_BYTES:
            return
        if key[1] and key[1].count(b"\\") != 1:
            return
        if not self._stamp.fullmatch(self._stamp_of(line)):
            return
        if any(one.startswith(word) for one in SIGN_BEGINNINGS):
            return
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = self._hold

    def count(self, holds: Sequence[Hold | None]) -> None:
        """Count the lines that were recognised: nothing of them is held but their number."""
        self._traffic.add_app_lines(holds.count(self._hold))
