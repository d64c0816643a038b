"""Counts what is usual in a log by the block, without a step of Python a line; the rest it gives back."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import compress
from operator import call

from exporter.log_access import AccessLines
from exporter.log_layout import Layout, Recognised
from exporter.log_texts import TextLines
from exporter.traffic import Traffic
from target.access_log import Text

MOST_HELD = 16_384
"""Numbers that wait to be read together."""


class BlockCounter:
    """Counts the lines of one layout, of whatever container: those it knows."""

    def __init__(self, traffic: Traffic, layout: Layout) -> None:
        self._access = AccessLines(traffic, layout)
        self._texts = TextLines(traffic, layout)
        self._held = 0

    def recognise(self, lines: Sequence[bytes]) -> Recognised:
        """Which lines are known, and are whole lines. Counts nothing."""
        holds = self._access.recognise(lines)
        places = [place for place, hold in enumerate(holds) if hold is None]
        texts = self._texts.recognise([lines[place] for place in places])
        for place, hold in zip(places, texts, strict=True):
            holds[place] = hold
        unknown = [place for place, hold in zip(places, texts, strict=True) if hold is None]
        return Recognised(holds, unknown)

    def count(self, lines: Sequence[bytes], recognised: Recognised) -> list[bytes]:
        """Count, now or with the next ``settle``; the lines that are not known, in their order.

        Each of the lines is a whole one.
        """
        holds = recognised.holds
        numbers = map(self._access.number_of, compress(lines, holds))
        deque(map(call, filter(None, holds), numbers), maxlen=0)
        self._texts.count(holds)
        learn = self._access.learn
        unknown = [lines[place] for place in recognised.unknown if not learn(lines[place])]
        self._held += len(lines) - len(unknown)
        if self._held > MOST_HELD:
            self.settle()
        return unknown

    def learn_text(self, line: bytes, text: Text) -> None:
        """Remember what the exact parser has made of a whole line that was not known."""
        self._texts.learn(line, text)

    def settle(self) -> None:
        """After this the traffic contains every line."""
        self._held = 0
        self._access.settle()
