"""What goes wrong on which Saturday. Each story breaks something, lets time pass, and leaves a deployment that is well."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from receiver.store import messages, windows
from tests.chaos.deployment import APP, MINIO
from tests.saturdays.prometheus import Condition
from tests.saturdays.simulation import Simulation
from tests.standins.discord_message import CLOUDFLARE

Play = Callable[[Simulation], Awaitable[None]]


@dataclass(frozen=True)
class Story:
    """``about``: what a reader should look at."""

    begin: datetime
    title: str
    about: str
    play: Play


def _at(day: int, hour: int) -> datetime:
    return datetime(2026, 3, day, hour, 0, tzinfo=UTC)


async def flapping(sim: Simulation) -> None:
    for _ in range(4):
        sim.happens("the application hangs; a restart helps for a few minutes")
        sim.deployment.frozen.add(APP)
        await sim.go_on(7)
    await sim.go_on(8)
    if not sim.deployment.well(APP):
        sim.deployment.frozen.discard(APP)
        sim.happens("a person has started the application again")
    await sim.go_on(15)


async def bad_deploy(sim: Simulation) -> None:
    sim.deployment.deploy_bad()
    sim.happens(f"v{sim.deployment.version} is deployed and answers nothing but errors")
    await sim.go_on(25)


async def bad_deploy_and_bad_before(sim: Simulation) -> None:
    """The version that the ledger knows as good cannot work any more either."""
    deployment = sim.deployment
    deployment.bad.add(deployment.version)
    deployment.deploy_bad()
    sim.happens(f"v{deployment.version} is deployed and broken; v{deployment.version - 1}, good until today, cannot work any more either")  # fmt: skip
    await sim.go_on(22)
    deployment.put_right()
    sim.happens(f"a person has put v{deployment.version} in its place")
    await sim.go_on(8)


async def full_disk(sim: Simulation) -> None:
    full = [True]
    sim.prometheus.conditions.append(
        Condition("HighDiskUsage", lambda: full[0], 60, labels={"category": "resource"})
    )
    sim.happens("the disk is 95 % full")
    await sim.go_on(15)
    full[0] = False
    sim.happens("a person has made room")
    await sim.go_on(6)
    sim.prometheus.conditions.pop()


async def minio_down(sim: Simulation) -> None:
    sim.deployment.stop(MINIO)
    sim.happens("MinIO's container ends")
    await sim.go_on(12)


async def runner_down(sim: Simulation) -> None:
    sim.github.set_runner(online=False)
    sim.deployment.deploy_bad()
    sim.happens(f"the runner is offline, and v{sim.deployment.version} is broken")
    await sim.go_on(16)
    sim.github.set_runner(online=True)
    sim.deployment.put_right()
    sim.happens(f"a person has put v{sim.deployment.version} in its place")
    await sim.go_on(8)


async def github_down(sim: Simulation) -> None:
    sim.github.fail_next(503, body="<html>no server is available</html>", times=10_000)
    sim.deployment.deploy_bad()
    sim.happens(f"GitHub answers 503 to everything, and v{sim.deployment.version} is broken")
    await sim.go_on(16)
    sim.github.calm()
    sim.deployment.put_right()
    sim.happens(f"GitHub is back; a person has put v{sim.deployment.version} in its place")
    await sim.go_on(8)


async def discord_down(sim: Simulation) -> None:
    sim.discord.fail_next(502, html=True, times=10_000)
    sim.deployment.deploy_bad()
    sim.happens(f"Discord is away behind Cloudflare's page ({len(CLOUDFLARE)} bytes of HTML), and v{sim.deployment.version} is broken")  # fmt: skip
    await sim.go_on(12)
    sim.discord.calm()
    sim.happens("Discord is back")
    await sim.go_on(8)


async def maintenance(sim: Simulation) -> None:
    now = sim.machine.moment

    def open_window(c: object) -> None:
        windows.open_window(c, now, now + timedelta(minutes=20), "a new disk", "person", now)  # type: ignore[arg-type]
        messages.add_event(c, None, "maintenance asked for", "a new disk", now)  # type: ignore[arg-type]

    await sim.database.run(open_window)
    sim.happens("sermon-monitor maintenance start 20m; then the application is stopped")
    sim.deployment.stop(APP)
    await sim.go_on(20)
    sim.happens("the window is over; nobody has started the application again")
    await sim.go_on(10)


async def prometheus_dead(sim: Simulation) -> None:
    sim.deployment.bad.add(sim.deployment.version)
    sim.deployment.deploy_bad()
    sim.happens(
        f"v{sim.deployment.version} is deployed and broken, and so is the version before it"
    )
    await sim.go_on(2)
    sim.prometheus.dead_since = sim.machine.moment
    sim.happens("Prometheus dies; after four minutes Alertmanager says that all is over")
    await sim.go_on(20)
    sim.prometheus.dead_since = None
    sim.happens("Prometheus is back")
    await sim.go_on(10)
    if not sim.deployment.well(APP):
        sim.deployment.put_right()
        sim.happens(f"a person has put v{sim.deployment.version} in its place")
        await sim.go_on(10)


STORIES = (
    Story(_at(7, 19), "Flapping service", "a restart cures it three times; the card is one, and the fourth restart within an hour is not made", flapping),
    Story(_at(7, 21), "Bad deploy", "a restart does not help, so after two minutes one rollback is dispatched, followed and verified", bad_deploy),
    Story(_at(14, 18), "MinIO down", "MinIO is restarted, the application is left alone", minio_down),
    Story(_at(14, 20), "Bad deploy, and the version before it is bad too", "the rollback is not believed until its version is well; then a person is called, and no second one is tried", bad_deploy_and_bad_before),
    Story(_at(14, 22), "Full disk", "no older image makes room: a person is called after ten minutes", full_disk),
    Story(_at(21, 18), "Runner down", "GitHub would take the dispatch, and nobody would carry it out", runner_down),
    Story(_at(21, 20), "GitHub down", "nobody knows whether a dispatch arrived: it is looked for, and never sent again", github_down),
    Story(_at(21, 22), "Discord down", "what is done does not wait for being told; afterwards one true card", discord_down),
    Story(_at(28, 19), "Maintenance", "shown, not acted on; what still fires at the end is then acted on", maintenance),
    Story(_at(28, 21), "Prometheus dead", "silence is not health: an end that only Alertmanager tells is not believed", prometheus_dead),
)  # fmt: skip
