"""What goes wrong in a scenario: each plot breaks something, and says when it is over for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from receiver.store import windows
from receiver.store.database import connect
from tests.chaos import truth
from tests.chaos.by_itself import BY_ITSELF, WORKFLOW, not_taken
from tests.chaos.deployment import APP, MINIO
from tests.standins.github import Script

if TYPE_CHECKING:
    from tests.chaos.world import World

PATIENCE_SECONDS = 25.0
"""How long a plot waits for the receiver's cure before it goes on, cured or not."""
POLICY = """
version: 1
local_fallback: LOCAL_FALLBACK
timing: {recheck: 100ms, run_poll: 60ms, run_lookup: 3s, queue_deadline: 6s,
         run_deadline: 8s, verify_for: 150ms, verify_deadline: 5s,
         deployment_grace: 1s}
alerts:
  - {alert: ServiceDown, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [restart app @0m, rollback @1500ms, person @5s]}
  - {alert: BadDeploy, category: health, severity: critical, discord: now, mention: true,
     confirm: probe, steps: [rollback @0m, person @5s]}
  - {alert: MinIODown, category: storage, severity: critical, discord: now, mention: true,
     confirm: minio, steps: [restart minio @0m, person @4s]}
  - {alert: SoonAPerson, category: pipeline, severity: critical, discord: now, mention: true,
     confirm: none, steps: [person @300ms]}
  - {alert: Slow, category: performance, severity: warning, discord: grouped, confirm: none,
     steps: [ask rollback @0m]}
  - {alert: DiskFull, category: resource, severity: critical, discord: now, confirm: none,
     steps: [cleanup safe @0m, ask cleanup images @200ms, person @4s]}
  - {alert: Crashing, category: container, severity: warning, discord: grouped, confirm: none,
     steps: [investigate @0m]}
  - {alert: Vanished, category: container, severity: warning, discord: grouped, confirm: none,
     steps: [investigate @0m]}
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
    """A window opens and is closed, as by the command line beside the process; the application breaks in it."""
    now = world.clock.now()
    connection = connect(world.store)
    with contextlib.closing(connection):
        windows.open_window(
            connection, now, now + timedelta(seconds=60), "a test of the window", "person", now
        )
    world.deployment.frozen.add(APP)
    await asyncio.sleep(world.pause(2.0))
    connection = connect(world.store)
    with contextlib.closing(connection):
        # By a clock that goes ahead: it may have been set back since.
        windows.end_windows(connection, now)
    await world.until_well(APP)


async def slow(world: World) -> None:
    """A version that works, and is slow: a person is asked, and says yes, or no, or nothing."""
    world.github.play(Script(world.pause(0.3), world.pause(0.5)))
    world.deployment.deploy()
    version = world.deployment.version
    world.raised.add("Slow")
    if await world.decided("rollback", yes=0.6) == "granted":
        await world.until(lambda: world.deployment.version != version)
    else:
        await asyncio.sleep(world.pause(4.0))
    world.raised.discard("Slow")


async def full_disk(world: World) -> None:
    """What has no name goes by itself; old versions only as a person approves."""
    world.deployment.pile_up(world.rng.randint(0, 2), world.rng.randint(1, 2))
    world.raised.add("DiskFull")
    if await world.decided("cleanup", yes=0.6) == "granted":
        await world.until(lambda: not world.deployment.rubbish)
    else:
        await asyncio.sleep(world.pause(4.0))
    world.raised.discard("DiskFull")


async def crashing(world: World) -> None:
    """Evidence is collected and attached to the card."""
    await _comes_and_goes(world, "Crashing")


async def _comes_and_goes(world: World, alert: str) -> None:
    for _ in range(world.rng.randint(1, 3)):
        world.raised.add(alert)
        await asyncio.sleep(0.3 + world.pause(1.5))
        world.raised.discard(alert)
        await asyncio.sleep(0.2 + world.pause(0.5))


async def no_github(world: World) -> None:
    """The workflow is switched off: this machine rolls back itself, asked or not, or a person is called."""
    world.github.set_workflow(WORKFLOW, "disabled_manually")
    if world.rng.random() < 0.3:  # and what it goes back to is not well either
        world.deployment.bad.add(world.deployment.version)
    world.deployment.deploy_bad()
    if world.fallback == "approve":
        await world.decided("local_rollback", yes=0.8)
    await world.until(lambda: world.deployment.well(APP) or world.called)
    world.github.set_workflow(WORKFLOW, "active")
    if not world.deployment.well(APP):
        world.deployment.put_right()


async def emergency(world: World) -> None:
    """A rollback fails, and the application is stopped on a person's word; then it is put right."""
    world.github.play(Script(0.1, 0.1, conclusion="failure"))
    world.deployment.deploy_bad()
    if await world.decided("emergency_stop", yes=0.8) == "granted":
        await world.until(lambda: not world.deployment.runs(APP))
    world.deployment.put_right()


async def tomorrow(world: World) -> None:
    """The next day's digest is due."""
    if not await world.until(lambda: truth.digests(world.store) > 0):
        return
    known, world.day_passed = truth.digests(world.store), True
    world.clock.jump(86_400)
    await world.until(lambda: truth.digests(world.store) > known)


async def gap(world: World) -> None:
    """No webhook arrives for a while, what fires changes, and the receiver dies: it asks Alertmanager."""
    world.raised.add(world.rng.choice(WARNINGS))
    await asyncio.sleep(world.pause(1.0))
    for manager in world.managers:
        manager.cut_off = True
    for _ in range(world.rng.randint(1, 3)):
        world.raised.symmetric_difference_update({world.rng.choice((*WARNINGS, "SoonAPerson"))})
    asked = world.listing.asked
    world.kill()
    await world.until(lambda: world.listing.asked > asked + 1)
    await asyncio.sleep(world.pause(1.0))
    for manager in world.managers:
        manager.cut_off = False
    world.raised.difference_update({*WARNINGS, "SoonAPerson"})


async def hasty(world: World) -> None:
    """What asked for something is over before it is done, also between a person's word and its use."""
    for name in ("DiskFull", "Crashing", "DiskFull", "Crashing"):
        world.raised.add(name)
        await asyncio.sleep(world.pause(0.5))
        world.raised.discard(name)
        await asyncio.sleep(world.pause(0.5))
    world.deployment.deploy()
    world.raised.add("Slow")
    await world.decided("rollback", yes=1.0)
    world.raised.discard("Slow")


async def too_late(world: World) -> None:
    """A person says yes, and before it is used the clock is set ahead."""
    world.deployment.deploy()
    world.raised.add("Slow")
    if await world.decided("rollback", yes=1.0):
        world.clock.jump(120.0)
        await asyncio.sleep(world.pause(1.0))
    world.raised.discard("Slow")


async def unwanted(world: World) -> None:
    """A person says no: to clean-ups, and to stopping the application."""
    world.deployment.pile_up(0, 1)
    world.raised.add("DiskFull")
    await world.decided("cleanup", yes=0.0, no=1.0)
    world.github.play(Script(0.1, 0.1, conclusion="failure"))
    world.deployment.deploy_bad()
    await world.decided("emergency_stop", yes=0.1, no=0.9)
    world.raised.discard("DiskFull")
    world.deployment.put_right()


async def jammed(world: World) -> None:
    """The Engine refuses to restart anything, or to stop it."""
    world.deployment.refusal = "device or resource busy"
    if world.rng.random() < 0.5:
        world.deployment.frozen.add(APP)
        await world.until_called()
    else:
        world.github.play(Script(0.1, 0.1, conclusion="failure"))
        world.deployment.deploy_bad()
        await world.decided("emergency_stop", yes=1.0)
        await asyncio.sleep(world.rng.choice((1.0, 8.0)))  # past the step's own deadline, or not
    world.deployment.refusal = ""
    world.deployment.frozen.discard(APP)
    world.deployment.put_right()


async def vanished(world: World) -> None:
    """An alert about a container that is not there: there is no evidence to be had."""
    await _comes_and_goes(world, "Vanished")


async def loud(world: World) -> None:
    """Something else rings while a call for a person is on its way, and Discord is slow."""
    world.deployment.refusal = "device or resource busy"
    world.deployment.frozen.add(APP)
    await asyncio.sleep(4.6)
    for turn in range(8):
        world.discord.stall(1.5)
        await asyncio.sleep(0.25)
        if turn == 2:
            world.deployment.deploy_bad()
    world.discord.calm()
    world.deployment.refusal = ""
    await world.until_called()
    world.deployment.put_right()


async def unattached(world: World) -> None:
    """Discord takes no file for a while, or says that it never will."""
    world.raised.add("Crashing")
    status = world.rng.choice((500, 413, 413))
    for _ in range(world.rng.randint(20, 60)):
        world.discord.fail_next(status, method="PATCH", times=2)
        await asyncio.sleep(0.05)
        world.discord.calm()
    world.raised.discard("Crashing")


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
        slow,
        full_disk,
        crashing,
        no_github,
        emergency,
        tomorrow,
        gap,
        hasty,
        too_late,
        unwanted,
        not_taken,
        jammed,
        unattached,
        vanished,
        loud,
        *BY_ITSELF,
    )
}
