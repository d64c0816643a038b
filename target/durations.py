"""Durations as people write them in settings and policy files: ``90``, ``30s``, ``15m``, ``1h30m``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+")
_LONGEST = timedelta(days=366)


def parse_duration(text: str) -> timedelta:
    """Turn ``"15m"``, ``"1h30m"`` or a bare number of seconds into a timedelta.

    Raises ValueError for anything else, for a negative and for more than 366 days.
    """
    stripped = text.strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", stripped):
        seconds = float(stripped)
    elif _WHOLE.fullmatch(stripped):
        seconds = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(stripped))
    else:
        raise ValueError("allowed: seconds, or a duration like 30s, 15m, 1h30m, 2d")
    if seconds > _LONGEST.total_seconds():
        raise ValueError("a duration may not be longer than 366d")
    return timedelta(seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest form of a duration that parse_duration reads back: ``1h30m``, ``45s``, ``0s``."""
    seconds = value.total_seconds()
    if seconds < 0:  # a clock was set back; parse_duration reads no such thing
        return f"-{format_duration(-value)}"
    parts = []
    for unit in ("d", "h", "m"):
        count, seconds = divmod(seconds, _UNITS[unit])
        if count:
            parts.append(f"{int(count)}{unit}")
    if seconds or not parts:
        parts.append(f"{seconds:.3f}".rstrip("0").rstrip(".") + "s")
    return "".join(parts)


def _validate(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("allowed: seconds, or a duration like 30s, 15m, 1h30m, 2d")  # noqa: TRY004 - pydantic collects ValueError
    if isinstance(value, int | float | str):
        return parse_duration(str(value))
    return value


Duration = Annotated[
    timedelta, BeforeValidator(_validate), PlainSerializer(format_duration, return_type=str)
]
"""A pydantic field that reads what parse_duration reads."""
