"""What people do beside the process, as by the command line: decide what they are asked, open windows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from receiver.approving import approvals
from receiver.store import windows
from receiver.store.database import connect
from tests.chaos import truth

if TYPE_CHECKING:
    from tests.chaos.world import World

HOLDS = timedelta(seconds=4)
"""How long a yes holds; divided here too, because who says it writes down until when it does."""
WINDOW = timedelta(seconds=60)


async def asked(world: World, action: str) -> bool:
    """Until a person is asked for an action. Whether one was, within the plot's patience."""
    return await world.until(lambda: bool(truth.asked(world.store, action)))


async def decided(
    world: World, action: str, yes: float, no: float = 0.2
) -> approvals.Choice | None:
    """Once a person is asked for an action: their word, if any. None where nobody was asked, too."""
    if not await asked(world, action):
        return None
    chance = world.rng.random()
    if chance > yes + no:
        return None
    choice: approvals.Choice = "granted" if chance < yes else "denied"
    await asyncio.sleep(world.pause(0.5))
    for number in truth.asked(world.store, action):
        _say(world, number, choice)
    return choice


def _say(world: World, number: int, choice: approvals.Choice) -> None:
    connection = connect(world.store)
    with contextlib.closing(connection), patch.object(approvals, "HOLDS", HOLDS):
        connection.execute("BEGIN IMMEDIATE")
        approvals.decide(connection, number, choice, "anna (terminal)", world.clock.now())
        connection.execute("COMMIT")


@contextmanager
def window(world: World) -> Iterator[None]:
    """It is open meanwhile, unless the clock jumps past it."""
    now = world.clock.now()
    connection = connect(world.store)
    with contextlib.closing(connection):
        words = "a test of the window"
        windows.open_window(connection, now, now + WINDOW, words, "person", now)
    yield
    connection = connect(world.store)
    with contextlib.closing(connection):
        # By a clock that goes ahead: it may have been set back since.
        windows.end_windows(connection, now)
