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


@dataclass(frozen=True)
class Verdicts:
    """What it is called when there is no problem, and when there is one."""

    good: str
    bad: str


HEALTH = Verdicts("healthy", "unhealthy")


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first; among equals the order in which they were found."""
    return sorted(findings, key=lambda finding: RANKS.index(finding.level))


def verdict(findings: Sequence[Finding], names: Verdicts = HEALTH) -> str:
    """One line: how many of each, or that all is well."""
    counts = {level: sum(f.level == level for f in findings) for level in RANKS}
    bad = [
        f"{n} {level}{'s' if n > 1 else ''}" for level, n in counts.items() if n and level != "ok"
    ]
    if not counts["problem"] and not counts["warning"]:
        return names.good + (f" ({bad[0]})" if bad else "")
    return f"{names.bad if counts['problem'] else names.good}: {', '.join(bad)}"


def healthy(findings: Iterable[Finding]) -> bool:
    return all(finding.level != "problem" for finding in findings)


def as_json(verb: str, findings: Sequence[Finding], names: Verdicts = HEALTH) -> dict[str, Any]:
    """What ``--json`` prints for a verb that looks."""
    return {
        "verb": verb,
        "outcome": names.good if healthy(findings) else names.bad,
        "words": verdict(findings, names),
        "findings": [asdict(finding) for finding in findings],
    }
