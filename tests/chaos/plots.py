"""What goes wrong in a scenario: each plot breaks something, and says when it is over for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from tests.chaos import truth
from tests.chaos.by_itself import BY_ITSELF, WORKFLOW
from tests.chaos.by_word import BY_WORD
from tests.chaos.deployment import APP, MINIO
from tests.chaos.people import decided, window
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
  - {alert: Passing, category: container, severity: warning, discord: grouped, confirm: none,
     steps: [investigate @4s]}
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
    """A window opens and is closed; the application breaks in it."""
    with window(world):
        world.deployment.frozen.add(APP)
        await asyncio.sleep(world.pause(2.0))
    await world.until_well(APP)


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
        await decided(world, "local_rollback", yes=0.8)
    await world.until(lambda: world.deployment.well(APP) or world.called)
    world.github.set_workflow(WORKFLOW, "active")
    if not world.deployment.well(APP):
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
    await decided(world, "rollback", yes=1.0)
    world.raised.discard("Slow")


async def jammed(world: World) -> None:
    """The Engine refuses to restart anything."""
    world.deployment.refusal = "device or resource busy"
    world.deployment.frozen.add(APP)
    await world.until_called()
    world.deployment.refusal = ""
    world.deployment.put_right()


async def vanished(world: World) -> None:
    """An alert about a container that is not there: there is no evidence to be had."""
    await _comes_and_goes(world, "Vanished")


async def passing(world: World) -> None:
    """Alerts that are over before what they ask for is due."""
    for _ in range(world.rng.randint(2, 4)):
        world.raised.add("Passing")
        await asyncio.sleep(0.2 + world.pause(0.3))
        world.raised.discard("Passing")
        await asyncio.sleep(world.pause(1.5))


async def loud(world: World) -> None:
    """What was a warning rings, and a person is called while that is still being said: Discord is slow."""
    world.raised.add("Uneasy")
    await world.until(lambda: any("Uneasy" in str(m.body) for m in world.discord.messages))
    world.raised.add("SoonAPerson")
    for _ in range(150):
        world.discord.stall(1.0, method="POST")
        await asyncio.sleep(0.02)
        world.discord.calm()
    world.raised.difference_update({"Uneasy", "SoonAPerson"})


async def unattached(world: World) -> None:
    """Discord takes no file for a while, or says that it never will."""
    world.raised.add("Crashing")
    status = world.rng.choice((500, 413, 413))
    for _ in range(world.rng.randint(100, 300)):
        world.discord.fail_next(status, files=True)
        await asyncio.sleep(0.01)
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
        crashing,
        no_github,
        tomorrow,
        gap,
        hasty,
        jammed,
        unattached,
        vanished,
        passing,
        loud,
        *BY_WORD,
    )
} | BY_ITSELF
