"""Container series as text: names and labels are written once for each series and kept.

A family's lines of all containers are one template; a scrape fills it in. All families of a container
are read at once, but a family's lines must stand together: so each knows where its values are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from exporter.cgroup_layout import Slot
from exporter.container_families import USAGE
from exporter.exposition import Family, Samples, series


class Piece(NamedTuple):
    """The template of one series. ``width`` is how many values it takes."""

    family: Family
    template: bytes
    width: int


class Shape(Protocol):
    """What says which series there are: as long as it is the same object, they are the same."""

    @property
    def slots(self) -> Sequence[Slot]: ...


class Row(NamedTuple):
    """One container in one scrape."""

    labels: Mapping[str, str]
    shape: Shape
    values: Sequence[bytes]
    seen_at: int | None = None
    """Unix time of its reading, where that was not in this scrape."""


def prefix(family: Family, labels: Mapping[str, str]) -> bytes:
    """The name and labels of a series, to stand in a template."""
    return series(family.name, labels).replace(b"%", b"%%")


def pieces(labels: Mapping[str, str], slots: Iterable[Slot]) -> list[Piece]:
    made = []
    for slot in slots:
        if slot.family is not None:
            head = prefix(slot.family, {**labels, **dict(slot.labels)})
            form = b"%b.%b\n" if slot.digits else b"%b\n"
            made.append(Piece(slot.family, head + form, 2 if slot.digits else 1))
    return made


class UsageText:
    """Writes the usage of all containers; made anew only when a container or its series are others."""

    def __init__(self) -> None:
        self._shapes: list[Shape] = []
        self._labels: list[Mapping[str, str]] = []
        self._pieces: dict[int, tuple[Mapping[str, str], list[Piece]]] = {}
        self._parts: list[tuple[Family, bytes, Any]] = []

    def write(self, rows: Sequence[Row]) -> list[Samples]:
        shapes = [row.shape for row in rows]
        labels = [row.labels for row in rows]
        if shapes != self._shapes or labels != self._labels:
            self._rebuild(shapes, labels)
        self._labels = labels  # equal, but perhaps others: the same ones compare at once
        values: list[bytes] = []
        for row in rows:
            values += row.values
        return [Samples(family, template % pick(values)) for family, template, pick in self._parts]

    def _rebuild(self, shapes: list[Shape], labels: list[Mapping[str, str]]) -> None:
        kept: dict[int, tuple[Mapping[str, str], list[Piece]]] = {}
        templates: dict[str, list[bytes]] = {family.name: [] for family in USAGE}
        places: dict[str, list[int]] = {family.name: [] for family in USAGE}
        at = 0
        for shape, its in zip(shapes, labels, strict=True):
            before = self._pieces.get(id(shape))
            made = before[1] if before and before[0] == its else pieces(its, shape.slots)
            kept[id(shape)] = its, made
            for family, template, width in made:
                templates[family.name].append(template)
                places[family.name].extend(range(at, at + width))
                at += width
        self._pieces, self._shapes, self._labels = kept, shapes, labels
        self._parts = [
            (family, b"".join(templates[family.name]), itemgetter(*places[family.name]))
            for family in USAGE
            if places[family.name]
        ]


class CountedText:
    """Series of all containers whose labels stay and whose values come as one list."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._labels: list[Mapping[str, str]] = []
        self._template = b""

    def write(self, labels: list[Mapping[str, str]], values: Iterable[int]) -> Samples:
        if labels != self._labels:
            self._labels = labels
            self._template = b"".join(prefix(self._family, one) + b"%d\n" for one in labels)
        return Samples(self._family, self._template % tuple(values))
