"""The objects of a backup, one line of JSON each: what each was, and which content it has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from recovery.backup.sealing import DamagedError


@dataclass(frozen=True)
class Entry:
    bucket: str
    key: str
    bytes: int
    etag: str
    modified: str
    """As the listing has it: with the ETag it tells whether the object has changed."""
    sha256: str
    blob: str
    headers: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return f"{self.bucket}/{self.key}"


def lines(entries: Iterable[Entry]) -> Iterator[bytes]:
    for one in sorted(entries, key=lambda entry: (entry.bucket, entry.key)):
        yield json.dumps(asdict(one), separators=(",", ":")).encode() + b"\n"


def parsed(chunks: Iterable[bytes]) -> Iterator[Entry]:
    """Raises DamagedError for what is no index."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from map(_entry, whole)
    if rest:
        raise DamagedError("ends in the middle of a line")


def _entry(line: bytes) -> Entry:
    try:
        found: dict[str, Any] = json.loads(line)
        return Entry(**found)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedError("is no list of objects") from error
