"""What a scenario is made from, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.chaos.points import Side

RANDOM_TIME = "at a random time"


@dataclass(frozen=True)
class Scenario:
    """All that a world is made from: it can be played again."""

    seed: int
    plots: tuple[str, ...]
    spared: frozenset[str] = frozenset()
    """Points where it is killed seldom: enough were."""

    def __str__(self) -> str:
        spared = f" --spare '{','.join(sorted(self.spared))}'" if self.spared else ""
        return f"{self.short}{spared} --worlds 1"

    @property
    def short(self) -> str:
        return f"--seed {self.seed} --plots {','.join(self.plots)}"


@dataclass
class Outcome:
    """What came of a scenario."""

    scenario: Scenario
    kills: list[tuple[tuple[str, ...], Side | str]] = field(default_factory=list)
    """The points at which each died: all that one commit held, or the one that was under way."""
    passed: set[tuple[str, Side]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
