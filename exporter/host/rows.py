"""Sample lines that are made once and filled with numbers at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import NamedTuple, Protocol

from exporter.exposition import Family, Kind, Samples, series

_PARTED = b"\0"
_sample = partial(tuple.__new__, Samples)  # as Samples(…) does, but without a step in Python


class Area(Protocol):
    """One part of the host. ``optional``: a kernel may lack it, and that is no failure."""

    name: str
    optional: bool

    def read(self) -> Sequence[Samples]:
        """Blocks on files. Raises OSError where they cannot be read, ValueError where they make no sense."""
        ...


class Column(NamedTuple):
    """A family with one series a row of a Table, and how its value is made from the kernel's digits."""

    family: Family
    convert: Callable[[bytes], bytes] | None = None


class Lines:
    """The sample lines of several families as one template: it is filled in one step and then parted."""

    def __init__(self, pieces: Iterable[tuple[Family, bytes]] = ()) -> None:
        """By family its lines, each with a conversion (``%d``, ``%b``) in the place of each value."""
        made = tuple(pieces)
        self._families = tuple(family for family, _ in made)
        self._template = _PARTED.join(lines.replace(_PARTED, b"?") for _, lines in made)

    def samples(self, values: tuple[object, ...]) -> list[Samples]:
        """``values`` in the order of the conversions. Raises TypeError when they are not as many."""
        lines = (self._template % values).split(_PARTED)
        return list(map(_sample, zip(self._families, lines, strict=True))) if lines[0] else []


class Scalar:
    """A family with one series, which has no labels."""

    def __init__(self, name: str, kind: Kind, text: str) -> None:
        self.family = Family(name, kind, text)
        self.prefix = series(name)

    def holding(self, value: bytes) -> Samples:
        """With its value as the exposition writes it."""
        return Samples(self.family, b"%b%b\n" % (self.prefix, value))


class Table:
    """Families that share their one label, as the columns of /proc/diskstats share the device."""

    def __init__(self, label: str, columns: Sequence[Column]) -> None:
        self._label = label
        self._columns = tuple(columns)
        self._shape: tuple[tuple[str, int], ...] = ()
        self._lines = Lines()

    def samples(self, rows: Mapping[str, Sequence[bytes]]) -> list[Samples]:
        """``rows``: by label value the digits of the columns, of which the last may be missing."""
        if not rows:
            return []
        shape = tuple((name, len(values)) for name, values in rows.items())
        if shape != self._shape:
            self._shape, self._lines = shape, Lines(self._pieces(rows))
        values: list[bytes] = []
        for column, digits in zip(self._columns, zip_longest(*rows.values()), strict=False):
            there = digits if all(digits) else filter(None, digits)
            values += there if column.convert is None else map(column.convert, there)
        return self._lines.samples(tuple(values))

    def _pieces(self, rows: Mapping[str, Sequence[bytes]]) -> Iterator[tuple[Family, bytes]]:
        for index, column in enumerate(self._columns):
            names = [name for name, values in rows.items() if index < len(values)]
            lines = ((column.family.series(**{self._label: name}), b"%b") for name in names)
            if names:
                yield column.family, template(lines)


def template(lines: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Sample lines with a conversion in the place of each value, from prefixes and conversions."""
    return b"".join(b"%b%b\n" % (prefix.replace(b"%", b"%%"), one) for prefix, one in lines)


def all_counts(digits: Sequence[bytes]) -> bool:
    """Whether these are digits and nothing else, none longer than a number of 64 bits."""
    return b"".join(digits).isdigit() and all(digits) and max(map(len, digits)) <= 20


def decimal(digits: bytes, places: int) -> bytes:
    """``digits`` with a point before the last ``places``: exact, where a float might not be."""
    digits = digits.zfill(places + 1)
    return digits[:-places] + b"." + digits[-places:]


def milliseconds(digits: bytes) -> bytes:
    """Milliseconds as seconds."""
    return decimal(digits, 3)


def microseconds(digits: bytes) -> bytes:
    """Microseconds as seconds."""
    return decimal(digits, 6)


def sectors(digits: bytes) -> bytes:
    """Sectors as bytes: in the kernel's figures always 512 (Documentation/block/stat.rst)."""
    return b"%d" % (int(digits) * 512)
