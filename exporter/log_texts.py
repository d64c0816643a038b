"""Remembers which beginnings of the application's own messages give no sign, so that most are counted by two look-ups."""

from __future__ import annotations

import re
from collections.abc import Sequence

from target.access_log import SIGN_BEGINNINGS, Text

MOST_REMEMBERED = 4096
_STAMP = re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
_STAMP_BYTES = 20
_WORD_TO = 28
"""Every sign's beginning is longer than the eight bytes behind the stamp."""


class TextMemo:
    """Bounded; forgets all at once. What it knows is a Text of the kind ``app`` without a sign, on either stream."""

    def __init__(self) -> None:
        self._stamps: set[bytes] = set()
        self._words: set[bytes] = set()

    def others(self, lines: Sequence[bytes], at: int) -> list[bytes]:
        """Those of ``lines`` that it does not know, in their order; each body begins at ``at``."""
        words, stamps = self._words, self._stamps
        word_from, word_to = at + _STAMP_BYTES, at + _WORD_TO
        others = []
        for line in lines:
            if line[word_from:word_to] in words:
                stamp = line[at:word_from]
                if stamp in stamps or self._is_stamp(stamp):
                    continue
            others.append(line)
        return others

    def _is_stamp(self, stamp: bytes) -> bool:
        """A new second begins in the middle of a block."""
        if not _STAMP.fullmatch(stamp):
            return False
        if len(self._stamps) >= MOST_REMEMBERED:
            self._stamps.clear()
        self._stamps.add(stamp)
        return True

    def learn(self, body: bytes, text: Text) -> None:
        """Remember a body that the exact parser has read as ``text``."""
        stamp, word = body[:_STAMP_BYTES], body[_STAMP_BYTES:_WORD_TO]
        # A repeated stamp in brackets, or a colour, would stand before the message.
        if text != Text("app") or word.startswith(b"[") or not word.isascii():
            return
        # Nor is it known whether a backslash is JSON's.
        if b"\x1b" in word or b"\\" in word:
            return
        if not _STAMP.fullmatch(stamp) or any(one.startswith(word) for one in SIGN_BEGINNINGS):
            return
        for known, one in ((self._stamps, stamp), (self._words, word)):
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            known.add(one)
