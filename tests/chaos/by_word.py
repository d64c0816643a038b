"""Plots about a person's word: yes, no, nothing, or what comes of it too late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.chaos import people
from tests.chaos.deployment import APP
from tests.chaos.people import asked, decided
from tests.standins.github import Script

if TYPE_CHECKING:
    from tests.chaos.world import World

TOO_LONG_SECONDS = people.HOLDS.total_seconds() + 3
"""Longer than a yes holds, also where the receiver dies meanwhile."""


async def slow(world: World) -> None:
    """A version that works, and is slow: a person is asked, and says yes, or no, or nothing."""
    world.github.play(Script(world.pause(0.3), world.pause(0.5)))
    world.deployment.deploy()
    version = world.deployment.version
    world.raised.add("Slow")
    if await decided(world, "rollback", yes=0.6) == "granted":
        await world.until(lambda: world.deployment.version != version)
    else:
        await asyncio.sleep(world.pause(4.0))
    world.raised.discard("Slow")


async def too_late(world: World) -> None:
    """A person says yes, and a maintenance window is open for longer than that holds."""
    world.deployment.deploy()
    world.raised.add("Slow")
    if await asked(world, "rollback"):
        with people.window(world):
            await decided(world, "rollback", yes=1.0)
            await asyncio.sleep(TOO_LONG_SECONDS)
    world.raised.discard("Slow")


async def full_disk(world: World) -> None:
    """What has no name goes by itself; old versions only as a person approves."""
    world.deployment.pile_up(world.rng.randint(0, 2), world.rng.randint(1, 2))
    world.raised.add("DiskFull")
    if await decided(world, "cleanup", yes=0.6) == "granted":
        await world.until(lambda: not world.deployment.rubbish)
    else:
        await asyncio.sleep(world.pause(4.0))
    world.raised.discard("DiskFull")


async def unwanted(world: World) -> None:
    """A person says no: to clean-ups, and to stopping the application."""
    world.deployment.pile_up(0, 1)
    world.raised.add("DiskFull")
    await decided(world, "cleanup", yes=0.0, no=1.0)
    world.github.play(Script(0.1, 0.1, conclusion="failure"))
    world.deployment.deploy_bad()
    await decided(world, "emergency_stop", yes=0.1, no=0.9)
    world.raised.discard("DiskFull")
    world.deployment.put_right()


async def emergency(world: World) -> None:
    """A rollback fails, and the application is stopped on a person's word; then it is put right."""
    world.github.play(Script(0.1, 0.1, conclusion="failure"))
    world.deployment.deploy_bad()
    if await decided(world, "emergency_stop", yes=0.8) == "granted":
        await world.until(lambda: not world.deployment.runs(APP))
    world.deployment.put_right()


async def unstoppable(world: World) -> None:
    """The same, and the Engine refuses to stop it, for a while or for as long as the word holds."""
    world.github.play(Script(0.1, 0.1, conclusion="failure"))
    world.deployment.deploy_bad()
    world.deployment.refusal = "device or resource busy"
    if await decided(world, "emergency_stop", yes=1.0):
        await asyncio.sleep(world.rng.choice((1.0, *(TOO_LONG_SECONDS,) * 3)))
    world.deployment.refusal = ""
    world.deployment.put_right()


BY_WORD = (slow, too_late, full_disk, unwanted, emergency, unstoppable)
