"""What goes wrong in a scenario: each plot breaks something, and says when it is over for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from receiver.store import windows
from receiver.store.database import connect
from tests.chaos.deployment import APP, MINIO
from tests.standins.github import Script

if TYPE_CHECKING:
    from tests.chaos.world import World

PATIENCE_SECONDS = 8.0
"""How long a plot waits for the receiver's cure before it goes on, cured or not."""
POLICY = """
version: 1
timing: {recheck: 100ms, run_poll: 60ms, run_lookup: 1500ms, queue_deadline: 2500ms,
         run_deadline: 4s, verify_for: 150ms, verify_deadline: 2500ms}
alerts:
  - {alert: ServiceDown, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [restart app @0m, rollback @1500ms, person @5s]}
  - {alert: BadDeploy, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [rollback @0m, person @5s]}
  - {alert: MinIODown, category: storage, severity: critical, discord: now, mention: true,
     confirm: minio, steps: [restart minio @0m, person @4s]}
  - {alert: SoonAPerson, category: pipeline, severity: critical, discord: now, mention: true,
     confirm: none, steps: [person @300ms]}
others: {critical: {discord: now, mention: true}, warning: {discord: grouped}, info: {discord: digest}}
"""
Plot = Callable[["World"], Awaitable[None]]


async def frozen(world: World) -> None:
    """The application does not answer until it is restarted."""
    world.deployment.frozen.add(APP)
    await world.until_well(APP)


async def stopped(world: World) -> None:
    """Its container has ended."""
    world.deployment.stop(APP)
    await world.until_well(APP)


async def minio_down(world: World) -> None:
    world.deployment.stop(MINIO)
    await world.until_well(MINIO)


async def bad_deploy(world: World) -> None:
    """A restart does not help, a rollback does."""
    world.github.play(Script(world.pause(0.5), world.pause(0.8)))
    world.deployment.deploy_bad()
    await world.until_well(APP)


async def bad_run(world: World) -> None:
    """The workflow fails; then a person puts it right, or nobody does."""
    world.github.play(Script(world.pause(0.3), world.pause(0.3), conclusion="failure"))
    world.deployment.deploy_bad()
    await world.until_called()
    if world.rng.random() < 0.7:
        world.deployment.put_right()


async def bad_target(world: World) -> None:
    """The version that was good before is not good any more."""
    world.github.play(Script(0.1, 0.1))
    world.deployment.bad.add(world.deployment.version)
    world.deployment.deploy_bad()
    await world.until_called()
    world.deployment.put_right()


async def no_runner(world: World) -> None:
    """It is offline before, or goes away between the dispatch and its run."""
    world.github.play(Script())
    if world.rng.random() < 0.5:
        world.github.set_runner(online=False)
    else:
        world.github.play(Script(queued_seconds=60.0))
    world.deployment.deploy_bad()
    await world.until_called()
    world.github.set_runner(online=True)
    world.deployment.put_right()


async def flapping(world: World) -> None:
    """An alert that comes and goes, and asks for a person."""
    for _ in range(world.rng.randint(2, 4)):
        world.raised.add("SoonAPerson")
        await asyncio.sleep(world.pause(0.8))
        world.raised.discard("SoonAPerson")
        await asyncio.sleep(world.pause(0.8))


async def warnings(world: World) -> None:
    """Alerts of other services, that ask for nothing."""
    for _ in range(world.rng.randint(3, 6)):
        world.raised.symmetric_difference_update({world.rng.choice(WARNINGS)})
        await asyncio.sleep(world.pause(0.5))
    world.raised.difference_update(WARNINGS)


async def maintenance(world: World) -> None:
    """A window opens, as by the command line beside the process; the application breaks in it."""
    now = world.clock.now()
    connection = connect(world.store)
    with contextlib.closing(connection):
        windows.open_window(
            connection, now, now + timedelta(seconds=1.5), "a test of the window", "person", now
        )
    world.deployment.frozen.add(APP)
    await world.until_well(APP)


WARNINGS = ("Odd", "Strange", "Noteworthy")
PLOTS: Mapping[str, Plot] = {
    plot.__name__: plot
    for plot in (
        frozen,
        stopped,
        minio_down,
        bad_deploy,
        bad_run,
        bad_target,
        no_runner,
        flapping,
        warnings,
        maintenance,
    )
}
