"""Times as Docker, Alertmanager and people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,12}))?([Zz]|[+-]\d{2}:\d{2})"
)


def parse_rfc3339(text: str) -> datetime:
    """An RFC 3339 time with any number of fractional digits, cut to microseconds, in UTC.

    Go writes nine digits; datetime keeps six. Raises ValueError for anything else.
    """
    match = _RFC3339.fullmatch(text)
    if not match:
        raise ValueError(f"not an RFC 3339 time: {text[:40]!r}")
    moment, fraction, zone = match.groups()
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{moment}.{(fraction or '0')[:6]:0<6}{zone}").astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"out of range: {text[:40]!r}") from error


def rfc3339(moment: datetime) -> str:
    """``2026-03-01T10:00:00.000Z``: to milliseconds, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(moment: datetime, zone: tzinfo, form: str = "%Y-%m-%d %H:%M") -> str:
    """``2026-03-08 00:54 CET``: as a person in ``zone`` reads it, with the zone's name."""
    return f"{moment.astimezone(zone):{form} %Z}"


def parse_engine_time(text: str) -> datetime | None:
    """A time of the Engine's; None for its zero time, which means never."""
    try:
        moment = parse_rfc3339(text)
    except ValueError:
        return None
    return moment if moment.year > 1 else None
