"""What stands where in a container's files, found once and then only checked.

All of a container's files are read and cut at blanks into one list of tokens. A layout says at which
place each value stands, and which keys must stand beside them; while they do, taking the values is
two C calls. Where they do not (another kernel line, a new interface), the layout is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from exporter.container_families import INACTIVE_FILE, MEMORY_USAGE, WORKING_SET
from exporter.exposition import Family

_LONGEST_NUMBER = 20
"""Digits of 2^64 - 1, the largest number that the kernel writes in these files."""


class Slot(NamedTuple):
    """One series of a container, without the labels that all of its series have."""

    family: Family | None
    """None: the kernel's count of out-of-memory kills, which is counted and not told as it is."""
    labels: tuple[tuple[str, str], ...] = ()
    digits: int = 0
    """Decimal places: the file's number is that many powers of ten too large."""


class Value(NamedTuple):
    """Where a series' value stands among the tokens of its file, and the keys that go with it."""

    slot: Slot
    at: int
    keys: tuple[int, ...] = ()


class Line(NamedTuple):
    """One line of a file; ``at`` is its first token's place."""

    at: int
    tokens: list[bytes]


Locator = Callable[[Sequence[Line]], list[Value]]


def tokens_of(blobs: Sequence[bytes]) -> list[bytes]:
    """``key=value`` is cut like ``key value``."""
    return b"\n".join(blobs).replace(b"=", b" ").split()


def lines_of(content: bytes) -> list[Line]:
    lines, at = [], 0
    for line in content.replace(b"=", b" ").splitlines():
        tokens = line.split()
        lines.append(Line(at, tokens))
        at += len(tokens)
    return lines


class Layout:
    """The places of one container's values. ``slots`` are in the order of what ``values`` returns."""

    def __init__(self, blobs: Sequence[bytes], locators: Sequence[Locator]) -> None:
        tokens = tokens_of(blobs)
        self._count = len(tokens)
        located = _locate(blobs, locators)
        found = [value for value in located if _is_number(tokens[value.at])]
        self.complete = len(found) == len(located)
        """Whether all that should be numbers are; where not, the next reading should look again."""
        seconds = [value for value in found if value.slot.digits]
        plain = [value for value in found if value.slot.family and not value.slot.digits]
        kills = [value for value in found if value.slot.family is None]
        ordered = [*seconds, *plain, *kills[:1]]
        checked = sorted({key for value in ordered for key in value.keys})
        self._pick = _getter([value.at for value in ordered])
        self._keys_at = _getter(checked)
        self._keys = self._keys_at(tokens)
        self._digits = tuple(value.slot.digits for value in seconds)
        self._kills = bool(kills)
        self.slots = [value.slot for value in (*seconds, *plain)]
        places = [
            place
            for wanted in (MEMORY_USAGE, INACTIVE_FILE)
            for place, slot in enumerate(self.slots)
            if slot.family is wanted
        ]
        self._working = (places[0], places[1]) if len(places) == 2 else None
        if self._working:
            self.slots.append(Slot(WORKING_SET))

    def values(self, tokens: list[bytes]) -> tuple[list[bytes], bytes] | None:
        """The values and the kernel's count of kills (empty where it has none); None if they are elsewhere.

        A slot with decimal places has two values: what stands before and behind the point.
        """
        if len(tokens) != self._count or self._keys_at(tokens) != self._keys:
            return None
        row = self._pick(tokens)
        digits = b"".join(row)
        if not digits.isdigit() or len(digits) > _LONGEST_NUMBER * len(row):
            return None
        made: list[bytes] = []
        for text, behind in zip(row, self._digits, strict=False):
            padded = text.zfill(behind + 1)
            made += padded[:-behind], padded[-behind:]
        made += row[len(self._digits) : -1 if self._kills else None]
        if self._working is not None:
            usage, inactive = self._working
            made.append(b"%d" % max(0, int(row[usage]) - int(row[inactive])))
        return made, row[-1] if self._kills else b""


def _locate(blobs: Sequence[bytes], locators: Sequence[Locator]) -> list[Value]:
    found, begin = [], 0
    for content, locate in zip(blobs, locators, strict=True):
        lines = lines_of(content)
        for value in locate(lines):
            keys = tuple(begin + key for key in value.keys)
            found.append(Value(value.slot, begin + value.at, keys))
        begin += sum(len(line.tokens) for line in lines)
    return found


def _is_number(token: bytes) -> bool:
    return token.isdigit() and len(token) <= _LONGEST_NUMBER


def _getter(places: Sequence[int]) -> Callable[[Sequence[bytes]], tuple[bytes, ...]]:
    """itemgetter, with a tuple for one place and for none too."""
    if len(places) > 1:
        getter: Any = itemgetter(*places)
        return getter  # type: ignore[no-any-return]
    return lambda tokens: tuple(tokens[place] for place in places)
