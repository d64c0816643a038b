"""``make chaos`` ends the receiver of a world whenever it is told to: also one that is only being started."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any, cast

from tests.chaos.deployment import Clock
from tests.chaos.nursery import Nursery, Receiver
from tests.chaos.scenario import Scenario
from tests.chaos.world import World


class _Receiver(Receiver):
    """Ends when it is told to."""

    def signal(self, number: int) -> None:
        if not self.ended.done():
            self.ended.set_result(-number)


class _Nursery:
    """Starts a receiver when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.started: list[_Receiver] = []

    async def start(self, *_: Any) -> Receiver:
        self.asked.set()
        await self.let.wait()
        self.let.clear()
        self.started.append(_Receiver(len(self.started)))
        return self.started[-1]


class _World(World):
    @property
    def environment(self) -> dict[str, str]:
        return {}


def _world(directory: Path, nursery: _Nursery) -> World:
    made = _World(Scenario(1, ("frozen",)), directory, cast(Nursery, nursery))
    made.clock = Clock(directory / "clock")
    made.endless = True
    return made


async def _begun(nursery: _Nursery) -> None:
    """Until the next one is asked for."""
    await nursery.asked.wait()
    nursery.asked.clear()


async def _with_one(world: World, nursery: _Nursery) -> asyncio.Task[None]:
    """The world's life, once its first receiver is there."""
    living = asyncio.create_task(world._live())
    await _begun(nursery)
    nursery.let.set()
    while not nursery.started:  # noqa: ASYNC110 - it comes by itself
        await asyncio.sleep(0)
    return living


async def test_one_that_is_being_started_is_ended_too(tmp_path: Path) -> None:
    nursery = _Nursery()
    world = _world(tmp_path, nursery)
    living = await _with_one(world, nursery)
    nursery.started[0].signal(signal.SIGKILL)
    await _begun(nursery)
    await world._stop()
    nursery.let.set()
    async with asyncio.timeout(30):
        await living
    assert nursery.started[-1].ended.result() == -signal.SIGTERM


async def test_none_is_started_once_it_is_over(tmp_path: Path) -> None:
    nursery = _Nursery()
    world = _world(tmp_path, nursery)
    living = await _with_one(world, nursery)
    await world._stop()
    async with asyncio.timeout(30):
        await living
    assert len(nursery.started) == 1
