"""Random trouble: Discord and GitHub that fail, stall, limit and lie, an Engine that loses answers, a clock that jumps."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.deployment import Clock, Deployment
from tests.standins.discord import Discord
from tests.standins.github import GitHub

PAUSE_SECONDS = (0.05, 0.6)
STALL_SECONDS = (0.05, 4.0)
"""Some of them beyond the receiver's deadline."""
JUMPS = (0.5, 5.0, 90.0, 3600.0)
"""Seconds that the clock jumps, to either side."""


@dataclass
class Mischief:
    """Goes on until it is told to end."""

    discord: Discord
    github: GitHub
    deployment: Deployment
    clock: Clock
    rng: random.Random
    scripted: bool = False
    """A plot says what GitHub does: chance leaves it alone."""

    async def run(self) -> None:
        tricks: tuple[tuple[int, Callable[[], None]], ...] = (
            (8, self.calm),
            (6, self._discord_fails),
            (4, self._discord_lies),
            (3, self._github_fails),
            (3, self._github_lies),
            (3, self._stalls),
            (2, self._engine_loses_an_answer),
            (2, self._clock_jumps),
        )
        weights = [weight for weight, _ in tricks]
        while True:
            await asyncio.sleep(self.rng.uniform(*PAUSE_SECONDS))
            ((_, trick),) = self.rng.choices(tricks, weights)
            if trick != self._clock_jumps:
                self.calm()  # what nobody met is over: trouble passes
            trick()

    def calm(self) -> None:
        """What was prepared and has not happened does not happen."""
        self.discord.calm()
        if not self.scripted:
            self.github.calm()
        self.deployment.lost_answers = 0

    def _method(self) -> str | None:
        return self.rng.choice((None, "POST", "PATCH"))

    def _discord_fails(self) -> None:
        kind = self.rng.choice(("500", "429", "html", "lost", "unknown message"))
        times = self.rng.randint(1, 2)
        match kind:
            case "500":
                self.discord.fail_next(self.rng.choice((500, 502, 503)), times=times)
            case "429":
                self.discord.fail_next(429, retry_after=self.rng.uniform(0.05, 0.4), times=times)
            case "html":
                self.discord.fail_next(503, html=True, times=times)
            case "lost":
                self.discord.lose_answer(times=times, method=self._method())
            case _:
                self.discord.fail_next(404, 10008, method="PATCH")

    def _discord_lies(self) -> None:
        """It was done, and the answer says something else, or nothing that can be read."""
        status = self.rng.choice((200, 500, 502, 504))
        self.discord.lie_next(status, "<html>not what you asked for</html>", method=self._method())

    def _github_fails(self) -> None:
        if self.scripted:
            return
        kind = self.rng.choice(("500", "limit", "lost", "html"))
        match kind:
            case "500":
                self.github.fail_next(self.rng.choice((500, 502)), times=self.rng.randint(1, 3))
            case "limit":
                self.github.fail_next(429, {"Retry-After": "0.3"})
            case "lost":
                self.github.lose_answer(method=self.rng.choice(("POST", "GET")))
            case _:
                self.github.fail_next(502, body="<html>unicorn</html>", method="GET")

    def _github_lies(self) -> None:
        if self.scripted:
            return
        status = self.rng.choice((200, 204, 500, 502))
        method = self.rng.choice(("POST", "GET"))
        self.github.lie_next(status, "<html>unicorn</html>", method=method)

    def _stalls(self) -> None:
        standin = self.discord if self.scripted else self.rng.choice((self.discord, self.github))
        standin.stall(self.rng.uniform(*STALL_SECONDS))

    def _engine_loses_an_answer(self) -> None:
        self.deployment.lost_answers += 1

    def _clock_jumps(self) -> None:
        self.clock.jump(self.rng.choice(JUMPS) * self.rng.choice((-1, 1)))
