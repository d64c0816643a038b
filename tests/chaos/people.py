"""What people do, on the board or beside the process, as by the command line: decide what they are asked, open windows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

import aiohttp

from receiver.approving import approvals
from receiver.store import windows
from receiver.store.database import connect
from tests.chaos import truth

if TYPE_CHECKING:
    from tests.chaos.world import World

HOLDS = timedelta(seconds=4)
"""How long a yes holds; divided here too, because who says it writes down until when it does."""
WINDOW = timedelta(seconds=60)
BOARD_TOKEN = "a-token-of-the-board-in-this-test"
ON_THE_BOARD = 0.5
"""The part of all words that are said there."""
MOST_TRIES = 100


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
    board = world.rng.random() < ON_THE_BOARD
    for number in truth.asked(world.store, action):
        if not (board and await _on_the_board(world, number, choice)):
            _at_a_terminal(world, number, choice)
    return choice


async def _on_the_board(world: World, number: int, choice: approvals.Choice) -> bool:
    """Said again until it is answered, for the receiver may die of it. Whether it was."""
    url = f"{world.url}/api/approvals/{number}"
    wish = {"decision": "approve" if choice == "granted" else "deny", "by": "anna"}
    headers = {"Authorization": f"Bearer {BOARD_TOKEN}"}
    deadline = aiohttp.ClientTimeout(total=3)
    async with aiohttp.ClientSession(headers=headers, timeout=deadline) as session:
        for _ in range(MOST_TRIES):
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with session.post(url, json=wish) as answer:
                    if answer.status == 200:
                        world.decisions[number] = choice
                    if answer.status in (200, 409):  # 409: it was taken before, or comes too late
                        return True
            await asyncio.sleep(0.05)
    return False


def _at_a_terminal(world: World, number: int, choice: approvals.Choice) -> None:
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
