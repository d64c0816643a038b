"""What is asked for in an address of the board's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from receiver import audit
from receiver.store.audit import Wanted
from target.times import parse_rfc3339


def wanted_rows(query: Mapping[str, str]) -> tuple[Wanted, int]:
    """Which rows of the audit trail, and how many. Raises ValueError in words."""
    unknown = set(query) - {"limit", "incident", "since", "kind", "before"}
    if unknown:
        raise ValueError(f"allowed: limit, incident, since, kind, before; got {min(unknown)[:40]}")
    limit = number(query, "limit", 100) or 0
    if not 1 <= limit <= audit.MOST_A_PAGE:
        raise ValueError(f"limit: allowed: 1 to {audit.MOST_A_PAGE}")
    since = parse_rfc3339(query["since"]) if query.get("since") else None
    incident, before = number(query, "incident", None), number(query, "before", None)
    return Wanted(since, incident, query.get("kind", ""), before), limit


def number(query: Mapping[str, str], name: str, default: int | None) -> int | None:
    """Raises ValueError in words."""
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{name}: allowed: a number; got {text[:40]!r}")
    return int(text)
