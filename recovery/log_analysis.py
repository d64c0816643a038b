"""What a log amounts to: errors counted by kind, the slowest requests. Pure; target/access_log.py reads the lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from target.access_log import Access, Text, parse_line
from target.engine_tail import LogLine
from target.routes import OTHER, route_of

SLOWEST = 5
_LEVEL = re.compile(r"^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?(?:ERROR|FATAL)\b")
_STAMP = re.compile(r"^(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? )?(?:\[[^\]]*\] )?")
_KINDS = {
    "minio": "MinIO",
    "minio_service": "MinIO",
    "minio_handler": "MinIO",
    "batch_minio_handler": "MinIO",
    "batch_file": "upload file",
    "discord": "Discord",
}
"""What a sign of target/access_log.py is for a person."""


@dataclass(frozen=True)
class Seen:
    """One line, read."""

    container: str
    moment: datetime
    stream: int
    text: str
    parsed: Access | Text


@dataclass(frozen=True)
class Errors:
    """One kind of trouble."""

    kind: str
    count: int
    last: datetime
    example: str


@dataclass(frozen=True)
class Slow:
    """One finished request."""

    seconds: float
    status: int
    method: str
    path: str
    moment: datetime


@dataclass(frozen=True)
class Analysis:
    lines: int
    seconds: float
    """Between the first and the last line."""
    requests: int
    errors: tuple[Errors, ...]
    slowest: tuple[Slow, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "seconds": self.seconds,
            "requests": self.requests,
            "errors": [{**asdict(e), "last": e.last.isoformat()} for e in self.errors],
            "slowest": [{**asdict(s), "moment": s.moment.isoformat()} for s in self.slowest],
        }


def seen(container: str, line: LogLine) -> Seen:
    text = line.body.decode(errors="replace")
    return Seen(container, line.moment, line.stream, text, parse_line(line.body, line.stream))


def is_error(line: Seen) -> bool:
    return bool(kind_of(line))


def kind_of(line: Seen) -> str:
    """What kind of trouble a line is; empty: none. A refused upload (400, 409) is its sender's affair."""
    parsed = line.parsed
    if isinstance(parsed, Access):
        if parsed.status < 500:
            return ""
        route = route_of(parsed.method, parsed.path)
        return f"HTTP {parsed.status} {parsed.method} {route.template if route.template != OTHER else 'other paths'}"
    if parsed.kind == "panic":
        return "panic"
    if parsed.sign in _KINDS:
        return _KINDS[parsed.sign]
    return "ERROR" if _LEVEL.match(line.text) else ""


def analyse(lines: Sequence[Seen]) -> Analysis:
    """``lines`` in the order of their times."""
    counts: Counter[str] = Counter()
    last: dict[str, Seen] = {}
    requests: list[Slow] = []
    for line in lines:
        if kind := kind_of(line):
            counts[kind] += 1
            last[kind] = line
        if isinstance(line.parsed, Access):
            one = line.parsed
            requests.append(Slow(one.seconds, one.status, one.method, one.path, line.moment))
    errors = tuple(
        Errors(kind, count, last[kind].moment, _STAMP.sub("", last[kind].text))
        for kind, count in counts.most_common()
    )
    return Analysis(
        lines=len(lines),
        seconds=(lines[-1].moment - lines[0].moment).total_seconds() if lines else 0.0,
        requests=len(requests),
        errors=errors,
        slowest=tuple(sorted(requests, key=lambda slow: -slow.seconds)[:SLOWEST]),
    )
