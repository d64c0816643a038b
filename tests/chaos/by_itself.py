"""Plots about what is done where GitHub cannot roll back: this machine does it, asked or not, or nobody.

By which of the three stands in policy.yml: each plot has a name for each of them, as in ``limited@auto``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from tests.chaos import truth
from tests.chaos.deployment import APP
from tests.chaos.people import decided
from tests.standins.github import Script

if TYPE_CHECKING:
    from tests.chaos.world import World

WORKFLOW = "rollback.yml"
MODES = ("never", "approve", "auto")
"""What local_fallback may be."""


async def _by_itself(world: World) -> None:
    """This machine rolls back, asked or not, or somebody is called; in the end a person puts it right."""
    if world.fallback == "approve":
        await decided(world, "local_rollback", yes=0.7)
    await _to_its_end(world)


async def _to_its_end(world: World) -> None:
    await world.until(lambda: world.deployment.well(APP) or world.called)
    if not world.deployment.well(APP):
        world.deployment.put_right()


async def no_way_back(world: World) -> None:
    """This machine rolls back itself, and what it goes back to is not well either."""
    world.github.set_workflow(WORKFLOW, "disabled_manually")
    world.deployment.bad.add(world.deployment.version)
    world.deployment.deploy_bad()
    await _by_itself(world)
    world.github.set_workflow(WORKFLOW, "active")


async def pruned(world: World) -> None:
    """This machine begins to roll back, and the image to go back to is gone."""
    world.github.set_workflow(WORKFLOW, "disabled_manually")
    world.deployment.gone = lambda: truth.phase(world.store, "rollback") == "changing"
    world.deployment.deploy_bad()
    if world.fallback == "approve":
        await decided(world, "local_rollback", yes=1.0)
    await world.until(lambda: truth.over(world.store, "rollback"))
    world.deployment.gone = lambda: False
    await _to_its_end(world)
    world.github.set_workflow(WORKFLOW, "active")


async def never_begun(world: World) -> None:
    """GitHub takes the dispatch, and says of the run that it could not begin."""
    world.github.play(Script(0.1, 0.1, conclusion="startup_failure"))
    world.deployment.deploy_bad()
    await _by_itself(world)


async def limited(world: World) -> None:
    """GitHub takes no dispatch for a while, or until it is too late."""
    world.github.play(Script(0.1, 0.1))
    world.deployment.deploy_bad()
    await _dispatches_answered(world, 429, world.rng.choice((3.0, 12.0, 12.0, 12.0)))
    await _by_itself(world)


async def swallowed(world: World) -> None:
    """GitHub's answer to the dispatch says nothing, and there is no run."""
    world.github.play(Script(0.1, 0.1))
    world.deployment.deploy_bad()
    await _dispatches_answered(world, 502, 3.0)
    await _by_itself(world)


async def not_taken(world: World) -> None:
    """GitHub refuses the dispatch for good."""
    world.deployment.deploy_bad()
    await _dispatches_answered(world, 422, 5.0)
    await _by_itself(world)


async def _dispatches_answered(world: World, status: int, seconds: float) -> None:
    """Every dispatch is answered so and not taken, until all is well again or that long."""
    world.mischief.scripted = True
    world.github.calm()
    world.github.fail_next(
        status, {"Retry-After": "0.2"}, times=10_000, method="POST", part="dispatches"
    )
    await world.until(lambda: world.deployment.well(APP), seconds)
    world.github.calm()
    world.mischief.scripted = False


BY_ITSELF: dict[str, Callable[[World], Awaitable[None]]] = {
    f"{plot.__name__}@{mode}": plot
    for plot in (no_way_back, pruned, never_begun, limited, swallowed, not_taken)
    for mode in MODES
    if mode != "never" or plot not in (no_way_back, pruned)
}


def agreeing(plots: Sequence[str]) -> tuple[str, ...]:
    """Those that can be played in one world: as the first says by whom it is done."""
    (mode, *_) = fallbacks(plots)
    said = any("@" in plot for plot in plots)
    return tuple(plot for plot in plots if not said or "@" not in plot or plot.endswith(f"@{mode}"))


def fallbacks(plots: Sequence[str]) -> Sequence[str]:
    """What local_fallback may be in a world with these plots: as the first says that says it."""
    said = [plot.partition("@")[2] for plot in plots if "@" in plot]
    return said[:1] or MODES
