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

from tests.chaos.by_itself import agreeing
from tests.chaos.nursery import Nursery, nursery
from tests.chaos.plots import PLOTS
from tests.chaos.scenario import RANDOM_TIME, Outcome, Scenario
from tests.chaos.tally import Tally
from tests.chaos.world import World

Tell = Callable[[str], None]
PLOTS_A_WORLD = (2, 4)
PLOTS_AT_LAST = (1, 2)
"""Where few points are short: the first plot of a world has its incident, and its rollback, to itself."""
FEW = 20
TRIES = 3
"""So often a plot is played before it is judged by where it leads."""


@dataclass(frozen=True)
class Goal:
    """When it is enough. ``worlds``: play exactly so many, whatever they reach."""

    kills: int
    each: int
    worlds: int | None
    within_seconds: float


class Campaign:
    """Plays, counts, and remembers which plots lead to which points."""

    def __init__(
        self, seed: int, goal: Goal, at_once: int, tell: Tell, tally: Tally | None = None
    ) -> None:
        self.tally = tally or Tally()
        """Of this run, and of those before it."""
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
        self._chosen: Counter[str] = Counter()

    async def run(self, directory: Path) -> None:
        self._tell(f"seed {self._seed}, {self._at_once} receivers at a time")
        async with nursery() as parent:
            await asyncio.gather(*(self._play(parent, directory) for _ in range(self._at_once)))

    @property
    def points(self) -> list[str]:
        return sorted((self.tally.passed | set(self.tally.kills)) - {RANDOM_TIME})

    @property
    def problems(self) -> list[tuple[Outcome, str]]:
        return [(o, problem) for o in self.outcomes for problem in o.problems]

    @property
    def short(self) -> dict[str, int]:
        """Points with too few kills."""
        kills = self.tally.kills
        return {p: kills[p] for p in self.points if kills[p] < self._goal.each}

    @property
    def succeeded(self) -> bool:
        if self.problems or not self.outcomes:
            return False
        return self._goal.worlds is not None or self._enough()

    def _enough(self) -> bool:
        return self.tally.killed >= self._goal.kills and not self.short

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
        self.tally.add(outcome)
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
            f"{seconds:4.0f} s: {self.tally.killed} kills in {len(self.outcomes)} scenarios{short}; {outcome.seconds:.0f} s, {len(outcome.kills)} kills: {outcome.scenario.short}"
        )

    def _next(self) -> Scenario:
        self._begun += 1
        if self.fixed:
            return self.fixed
        some = PLOTS_AT_LAST if len(self.short) <= FEW else PLOTS_A_WORLD
        plots = agreeing([self._choice() for _ in range(self._rng.randint(*some))])
        kills = self.tally.kills
        spared = frozenset(name for name in kills if kills[name] >= self._goal.each)
        return Scenario(self._seed + self._begun, plots, spared)

    def _choice(self) -> str:
        plot = self._plot()
        self._chosen[plot] += 1
        return plot

    def _plot(self) -> str:
        """One that was hardly played, else one that leads to points with too few kills; now and then any."""
        played = self.tally.played
        if unknown := [plot for plot in PLOTS if max(played[plot], self._chosen[plot]) < TRIES]:
            return self._rng.choice(unknown)
        ways: dict[str, float] = defaultdict(float)
        for point, kills in self.short.items():
            # A tally may know plots that are no more.
            leads = {plot: n for plot, n in self.tally.ways[point].items() if plot in PLOTS}
            rates = {plot: (times / played[plot]) ** 2 for plot, times in leads.items()}
            for plot, rate in rates.items():
                missing = 1 - kills / self._goal.each
                ways[plot] += missing * rate / sum(rates.values())
        if not ways or self._rng.random() < 0.15:
            return self._rng.choice(list(PLOTS))
        (found,) = self._rng.choices(list(ways), list(ways.values()))
        return found

    def report(self) -> Iterator[str]:
        """The histogram of kills by point and side, and what was found."""
        sides, kills = self.tally.sides, self.tally.kills
        width = max((len(point) for point in self.points), default=10)
        yield f"{'killed':{width}}  before  during   after     all"
        for point in self.points:
            counts = [sides[point, side] for side in ("before", "during", "after")]
            yield f"{point:{width}}" + "".join(f"{count:8}" for count in (*counts, sum(counts)))
        yield f"{RANDOM_TIME:{width}}{kills[RANDOM_TIME]:32}"
        yield f"{'all':{width}}{self.tally.killed:32}"
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
