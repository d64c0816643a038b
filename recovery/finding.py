"""One thing that was looked at, how bad it is, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["problem", "warning", "note", "ok"]
RANKS: tuple[Level, ...] = ("problem", "warning", "note", "ok")


@dataclass(frozen=True)
class Finding:
    """``problem``: it does not work; ``warning``: it soon may not; ``note``: worth knowing; ``ok``."""

    level: Level
    what: str
    words: str
    mend: str = ""
    """What to type or to do; not for ``ok``."""


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; among equals the order in which they were found."""
    return sorted(findings, key=lambda finding: RANKS.index(finding.level))


def verdict(findings: Sequence[Finding]) -> str:
    """One line: how many of each, or that all is well."""
    counts = {level: sum(f.level == level for f in findings) for level in RANKS}
    bad = [
        f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts.items() if n and level != "ok"
    ]
    if not counts["problem"] and not counts["warning"]:
        return "healthy" + (f" ({bad[0]})" if bad else "")
    return ("unhealthy: " if counts["problem"] else "works: ") + ", ".join(bad)


def healthy(findings: Iterable[Finding]) -> bool:
    return all(finding.level != "problem" for finding in findings)


def as_json(verb: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """What ``--json`` prints for a verb that looks."""
    return {
        "verb": verb,
        "outcome": "healthy" if healthy(findings) else "unhealthy",
        "words": verdict(findings),
        "findings": [asdict(finding) for finding in findings],
    }
