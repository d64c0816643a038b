"""Many scenarios, several at a time, led to the points where too few receivers were killed so far."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.nursery import Nursery, nursery
from tests.chaos.plots import PLOTS
from tests.chaos.world import Outcome, Scenario, World

Tell = Callable[[str], None]
RANDOM_TIME = "at a random time"
MOST_IN_FOCUS = 8


@dataclass(frozen=True)
class Goal:
    """When it is enough. ``worlds``: play exactly so many, whatever they reach."""

    kills: int
    each: int
    worlds: int | None
    within_seconds: float


class Campaign:
    """Plays, counts, and remembers which plots lead to which points."""

    def __init__(self, seed: int, goal: Goal, at_once: int, tell: Tell) -> None:
        self.fixed: Scenario | None = None
        """Play this one instead of those of our own choice."""
        self.outcomes: list[Outcome] = []
        self._seed = seed
        self._goal = goal
        self._at_once = at_once
        self._tell = tell
        self._rng = random.Random(seed)
        self._begun = 0
        self._began = time.monotonic()
        self._ways: dict[str, Counter[str]] = defaultdict(Counter)
        self._played: Counter[str] = Counter()

    async def run(self, directory: Path) -> None:
        self._tell(f"seed {self._seed}, {self._at_once} receivers at a time")
        async with nursery() as parent:
            await asyncio.gather(*(self._play(parent, directory) for _ in range(self._at_once)))

    @property
    def kills(self) -> Counter[str]:
        return Counter(name for outcome in self.outcomes for name, _ in outcome.kills)

    @property
    def points(self) -> list[str]:
        found = {name for outcome in self.outcomes for name, _ in outcome.passed}
        return sorted(found | set(self.kills) - {RANDOM_TIME})

    @property
    def problems(self) -> list[tuple[Outcome, str]]:
        return [(o, problem) for o in self.outcomes for problem in o.problems]

    @property
    def short(self) -> dict[str, int]:
        """Points with too few kills."""
        return {p: self.kills[p] for p in self.points if self.kills[p] < self._goal.each}

    @property
    def succeeded(self) -> bool:
        if self.problems or not self.outcomes:
            return False
        return self._goal.worlds is not None or self._enough()

    def _enough(self) -> bool:
        return self.kills.total() >= self._goal.kills and not self.short

    def _over(self) -> bool:
        if self.problems:
            return True
        if self._goal.worlds is not None:
            return self._begun >= self._goal.worlds
        late = time.monotonic() - self._began > self._goal.within_seconds
        return late or (bool(self.outcomes) and self._enough())

    async def _play(self, parent: Nursery, directory: Path) -> None:
        while not self._over():
            scenario = self._next()
            world = World(scenario, directory / f"world-{self._begun}", parent)
            began = time.monotonic()
            try:
                async with world.built():
                    await world.play()
            except Exception as fault:  # noqa: BLE001 - told with its scenario, so that it can be played again
                where = (
                    traceback.format_exc() if not isinstance(fault, AssertionError) else str(fault)
                )
                world.outcome.problems.append(where)
            world.outcome.seconds = time.monotonic() - began
            self._note(world.outcome)

    def _note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._played.update(set(outcome.scenario.plots))
        for name in {name for name, _ in (*outcome.passed, *outcome.kills)}:
            self._ways[name].update(set(outcome.scenario.plots))
        if outcome.problems:
            self._tell(f'make chaos ARGS="{outcome.scenario}"')
            for problem in outcome.problems:
                self._tell(f"  {problem}")
        short = (
            f", {len(self.short)} points below {self._goal.each}"
            if self._goal.worlds is None
            else ""
        )
        seconds = time.monotonic() - self._began
        self._tell(
            f"{seconds:4.0f} s: {self.kills.total()} kills in {len(self.outcomes)} scenarios{short}; {outcome.seconds:.0f} s {outcome.scenario}"
        )

    def _next(self) -> Scenario:
        self._begun += 1
        if self.fixed:
            return self.fixed
        focus = self._focus()
        plots = tuple(self._plot(focus) for _ in range(self._rng.randint(2, 3)))
        return Scenario(self._seed + self._begun, plots, focus)

    def _focus(self) -> tuple[str, ...]:
        """Those that were hit least, and some others by chance."""
        short = sorted(self.short, key=lambda point: (self.kills[point], self._rng.random()))
        return tuple(short[: self._rng.randint(3, MOST_IN_FOCUS)])

    def _plot(self, focus: tuple[str, ...]) -> str:
        """One that led to points in focus before; one by chance where none is known."""
        ways: dict[str, float] = defaultdict(float)
        for point in focus:
            for plot, times in self._ways[point].items():
                ways[plot] += (times / self._played[plot]) ** 2
        if not ways or self._rng.random() < 0.2:
            return self._rng.choice(list(PLOTS))
        (found,) = self._rng.choices(list(ways), list(ways.values()))
        return found

    def report(self) -> Iterator[str]:
        """The histogram of kills by point and side, and what was found."""
        sides: Counter[tuple[str, str]] = Counter(kill for o in self.outcomes for kill in o.kills)
        width = max((len(point) for point in self.points), default=10)
        yield f"{'killed':{width}}  before  during   after     all"
        for point in self.points:
            counts = [sides[point, side] for side in ("before", "during", "after")]
            yield f"{point:{width}}" + "".join(f"{count:8}" for count in (*counts, sum(counts)))
        yield f"{RANDOM_TIME:{width}}{self.kills[RANDOM_TIME]:32}"
        yield f"{'all':{width}}{self.kills.total():32}"
        totals: Counter[str] = Counter()
        for outcome in self.outcomes:
            totals.update(outcome.counts)
        yield ", ".join(f"{count} {what}" for what, count in totals.items())
        if self._goal.worlds is None:
            yield from (f"only {n} kills at: {point}" for point, n in self.short.items())
        for outcome, problem in self.problems:
            yield f'FAILED, play it again: make chaos ARGS="{outcome.scenario}"'
            yield f"  {problem}"
        yield "every law held" if not self.problems else f"{len(self.problems)} problems"
