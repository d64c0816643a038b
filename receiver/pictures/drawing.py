"""What a picture shows, as plain values for the process that draws it, and the same in words. Pure.

Only the standard library: the process that draws imports this, and nothing else of ours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

MarkKind = Literal["deployment", "alert", "action", "recovery"]
MOST_MARKS = 7
"""A phone shows no more lines of words under the curve."""
MOST_POINTS = 2000
_COMPARED = {
    "==": "while it is",
    "!=": "while it is not",
    "<": "below",
    "<=": "at or below",
    ">": "above",
    ">=": "at or above",
}
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True)
class Mark:
    """A moment: seconds since 1970, its time of day for people, and what happened."""

    at: float
    kind: MarkKind
    clock: str
    words: str


@dataclass(frozen=True)
class Drawing:
    """A curve with its threshold from ``begin`` to ``end``, in seconds since 1970."""

    title: str
    unit: str
    comparison: str
    threshold: float
    begin: float
    end: float
    points: Sequence[tuple[float, float | None]]
    """In order of time; None where nothing was measured."""
    marks: Sequence[Mark]
    ticks: Sequence[tuple[float, str]]
    """Where the time is written below, and how."""
    span: str
    """``26 Nov, 14:00 to 15:00``."""
    zone: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), allow_nan=False)

    @property
    def rule(self) -> str:
        """``fires above 10 %``."""
        return f"fires {_COMPARED[self.comparison]} {shown(self.threshold, self.unit)}"


def from_json(text: str) -> Drawing:
    """Raises ValueError, KeyError, TypeError for what to_json() has not made."""
    raw: dict[str, Any] = json.loads(text)
    raw["marks"] = [Mark(**one) for one in raw["marks"]]
    return Drawing(**raw)


def shown(value: float, unit: str) -> str:
    """``43 %``, ``2.5 s``, ``1.2 GiB``: short, as it stands at an axis."""
    if unit == "ratio":
        return f"{_short(value * 100)} %"
    if unit == "percent":
        return f"{_short(value)} %"
    if unit == "seconds":
        return _duration(value)
    return _size(value) if unit == "bytes" else _short(value)


def in_words(drawing: Drawing) -> str:
    """The picture for those who do not see it: what it was, how far it went, when what happened."""
    seen = [value for _, value in drawing.points if value is not None]
    least, most = shown(min(seen), drawing.unit), shown(max(seen), drawing.unit)
    last = drawing.points[-1][1]
    between = f"was {least} throughout" if least == most else f"lay between {least} and {most}"
    now = "has no value" if last is None else f"is {shown(last, drawing.unit)}"
    told = "; ".join(f"{mark.clock} {mark.words}" for mark in drawing.marks)
    words = (
        f"{drawing.title}, {drawing.span} ({drawing.zone}): the value {between}, and {now}"
        f" at the end; the alert {drawing.rule}."
    )
    return f"{words} {told}." if told else words


def _short(value: float) -> str:
    if value == 0 or 0.01 <= abs(value) < 10_000:
        return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.0f}"
    return f"{value:.1e}"


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{_short(round(seconds / size, 1))} {name}"
    return (
        f"{_short(seconds)} s"
        if abs(seconds) >= 1 or not seconds
        else f"{_short(seconds * 1000)} ms"
    )


def _size(count: float) -> str:
    unit = 0
    while abs(count) >= 1024 and unit < len(_SIZES) - 1:
        count, unit = count / 1024, unit + 1
    return f"{_short(round(count, 1))} {_SIZES[unit]}"
