"""Who died where, also over several runs: ``--tally FILE`` goes on with what a run before has counted."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.points import Side
from tests.chaos.scenario import Outcome


@dataclass
class Tally:
    """Kills by point and side, and which plots lead to which points."""

    killed: int = 0
    """Receivers, in all."""
    sides: Counter[tuple[str, Side | str]] = field(default_factory=Counter)
    passed: set[str] = field(default_factory=set)
    ways: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """How many scenarios with a plot came past a point."""
    played: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """A commit may hold several transitions: whoever dies at it died at each of them."""
        self.killed += len(outcome.kills)
        self.sides.update((name, side) for names, side in outcome.kills for name in names)
        found = {name for name, _ in outcome.passed}
        found.update(name for names, _ in outcome.kills for name in names)
        self.passed |= found
        plots = set(outcome.scenario.plots)
        self.played.update(plots)
        for name in found:
            self.ways[name].update(plots)

    @property
    def kills(self) -> Counter[str]:
        """By point, whatever side."""
        counted: Counter[str] = Counter()
        for (name, _), times in self.sides.items():
            counted[name] += times
        return counted

    def save(self, path: Path) -> None:
        whole = {
            "killed": self.killed,
            "sides": [[name, side, times] for (name, side), times in sorted(self.sides.items())],
            "passed": sorted(self.passed),
            "ways": {name: dict(plots) for name, plots in sorted(self.ways.items())},
            "played": dict(self.played),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_tally(path: Path | None) -> Tally:
    """An empty one where there is no such file yet."""
    if path is None or not path.exists():
        return Tally()
    told = json.loads(path.read_text(encoding="utf-8"))
    ways: dict[str, Counter[str]] = defaultdict(Counter)
    ways.update((name, Counter(plots)) for name, plots in told["ways"].items())
    return Tally(
        told["killed"],
        Counter({(name, side): times for name, side, times in told["sides"]}),
        set(told["passed"]),
        ways,
        Counter(told["played"]),
    )
