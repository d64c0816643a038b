"""What nothing that is left behind may show: the secret settings of a process, however they are written."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlsplit

from sermon_monitor.settings import Settings

SHORTEST = 12
"""Characters of what is looked for: a shorter one may stand there by itself."""


@cache
def names() -> frozenset[str]:
    """The settings that are secret."""
    fields = Settings.model_fields.items()
    return frozenset(name.upper() for name, one in fields if "SecretStr" in str(one.annotation))


def forms(value: str) -> Iterator[str]:
    """The whole, what is secret of a URL, and both as they are encoded."""
    parts = urlsplit(value) if "://" in value else None
    path = parts.path if parts else value
    last = path.rpartition("/")[2] or path
    for one in {value, last, (parts.password if parts else None) or value}:
        yield from (one, quote(one, safe=""), base64.b64encode(one.encode()).decode())


def shown(settings: Mapping[str, str], places: Mapping[str, bytes]) -> dict[str, list[str]]:
    """By place: the names of the secret settings whose value it shows."""
    sought = {
        form.encode(): name
        for name in names() & settings.keys()
        if not settings[name].startswith("sqlite:")
        for form in forms(settings[name])
        if len(form) >= SHORTEST
    }
    found = {
        place: sorted({name for form, name in sought.items() if form in content})
        for place, content in places.items()
    }
    return {place: named for place, named in found.items() if named}


def left(*paths: Path) -> dict[str, bytes]:
    """Every file there and below; what another process takes away meanwhile is not left."""
    found = {}
    for one in [one for path in paths for one in ([path] if path.is_file() else path.rglob("*"))]:
        with suppress(FileNotFoundError):
            if one.is_file():
                found[str(one)] = one.read_bytes()
    return found
