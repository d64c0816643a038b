"""What goes on beside a flood of webhooks: the event loop, and the worker with its cards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from statistics import median
from typing import TypeVar

from tests.bench import acting, webhooks

Result = TypeVar("Result")
TICK_SECONDS = 0.001


async def with_lag(work: Awaitable[Result], after: float) -> tuple[Result, list[float]]:
    """``work``'s result, and how late the event loop was at each tick from ``after`` seconds on, in seconds."""
    late: list[float] = []
    counted = time.perf_counter() + after

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            if began > counted:
                late.append(max(0.0, time.perf_counter() - began - TICK_SECONDS))

    ticking = asyncio.create_task(tick())
    try:
        return await work, late
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)


def worst(late: list[float]) -> float:
    """How late an event is served that comes at one of the worst moments, of which there is one in twenty.

    Moments count, not ticks: a loop that waits for long ticks seldom meanwhile.
    """
    whole = sum(late) + TICK_SECONDS * len(late)
    passed = 0.0
    for one in sorted(late):
        passed += one + TICK_SECONDS
        if passed >= 0.95 * whole:
            return one
    raise ValueError("no tick was counted")


async def cards(times: int) -> tuple[float, float]:
    """Seconds from a webhook to its card: with nothing else, and while a flood is accepted. Medians."""

    async def flood(url: str) -> None:
        number = 0
        while True:
            await webhooks.load(url, 10, 32, first=number)
            number += 32

    quiet = median(await acting.cards(times, 0))
    beside = median(await acting.cards(times, 0, flood))
    return quiet, beside
