"""Several receivers on one PostgreSQL: whoever is killed, and when, each step is done once and nothing stays open."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import several_kit
from tests.parts.several_kit import World, world
from tests.real.daemons import Binaries
from tests.real.postgres import PASSWORD, Postgres, postgres

pytestmark = [pytest.mark.daemons, pytest.mark.timeout(1200)]


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One that may be crashed: what it has committed is on the disk."""
    with postgres(Path(tempfile.mkdtemp(prefix="sermon-pg-")), safe=True) as server:
        yield server


async def _crash(server: Postgres) -> None:
    await asyncio.to_thread(server.crash)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(server.start)


def _judge(it: World, waves: int, size: int) -> None:
    assert list(it.faults(waves, size)) == []
    assert several_kit.secrets_in(it.receivers, PASSWORD) == []


@pytest.mark.long
async def test_a_killed_one_and_a_crashed_database(
    server: Postgres, binaries: Binaries, tmp_path: Path
) -> None:
    """The one that works dies while GitHub carries out its rollback; then the database does, with four open."""
    async with world(server, server.database("shared"), binaries, tmp_path) as it:
        wave = asyncio.create_task(it.wave(0, 4))
        await it.github.wait_until(lambda g: g.dispatches, several_kit.WITHIN)
        victim = await asyncio.to_thread(it.leader)
        assert victim is not None
        await asyncio.to_thread(victim.kill)
        await _crash(server)
        await asyncio.to_thread(victim.start)
        await wave
        await it.told()
        await asyncio.to_thread(_judge, it, 1, 4)


@pytest.mark.long
async def test_two_hundred_incidents(server: Postgres, binaries: Binaries, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    async with world(server, server.database("shared"), binaries, tmp_path) as it:
        killing = asyncio.create_task(it.harass(rng, 25, (1.0, 9.0)))
        for number in range(10):
            wave = asyncio.create_task(it.wave(number, 20))
            if number == 5:
                await asyncio.sleep(rng.uniform(0.5, 4.0))
                await _crash(server)
            await wave
        print(f"terms: {it.ask('SELECT term FROM lease')}")
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
        for product in it.receivers:
            if product.process is None or not product.process.running:
                await asyncio.to_thread(product.start)
        await it.told()
        await asyncio.to_thread(_judge, it, 10, 20)
