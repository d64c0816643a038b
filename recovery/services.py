"""restart-services and emergency-restart: the deployment's services in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from recovery.acts import (
    APP_GRACE_SECONDS,
    MINIO_GRACE_SECONDS,
    WELL_SECONDS,
    Start,
    Stop,
    Up,
    Well,
)
from recovery.backup.first import saved_first
from recovery.deployments import Facts, gather, of_project
from recovery.inputs import Seconds
from recovery.options import changes
from recovery.ports import taken
from recovery.run import Flags, Session, change
from recovery.steps import Plan, Step
from recovery.stop import LIVE
from target.compose import Service
from target.engine import Container

HASTY_SECONDS = 2
UNDER_WAY = "requests and uploads under way"

wait_option = click.option(
    "--verify-timeout",
    "wait",
    type=Seconds(),
    default=WELL_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long each service has to become well.",
)


@click.command("restart-services", epilog="Example: sermon-recovery restart-services --yes")
@wait_option
@changes
def restart_services(flags: Flags, wait: float) -> None:
    """Stop all services and start them as the compose files say, each once the former is well.

    Changes of the compose files and of .env take effect. Only images that are on this machine are
    used. Without usable compose files the containers are restarted as they are. A backup of the
    configuration is made first, where one can be made.
    """
    _run(
        "restart-services",
        flags,
        lambda session, facts: saved_first(session, facts, "restart", plan_restart(facts, wait)),
    )


@click.command("emergency-restart", epilog="Example: sermon-recovery emergency-restart --yes")
@wait_option
@changes
def emergency_restart(flags: Flags, wait: float) -> None:
    """Start the deployment again, after an emergency stop or when it hangs.

    What runs is ended after 2 seconds and started; what is stopped is started; what has no container
    is made from the compose files. Works without the project's directory.
    """
    _run("emergency-restart", flags, lambda _, facts: plan_emergency_restart(facts, wait))


def _run(verb: str, flags: Flags, make: Callable[[Session, Facts], Plan]) -> None:
    seen: list[Facts] = []

    def plan(session: Session) -> Plan:
        seen.append(gather(session))
        return make(session, seen[0])

    change(verb, flags, plan, lambda _: seen[0].compose)


def plan_restart(facts: Facts, wait: float = WELL_SECONDS) -> Plan:
    """Pure. Everything that can be known to fail is a refusal, before anything is stopped."""
    title = "restart all services of the deployment"
    if refusal := _refusal(facts) or images_missing(facts, everything=facts.project is not None):
        return Plan(title, refusal=refusal)
    live = [c for c in reversed(facts.containers) if c.state in LIVE]
    minio = {c.id for c in facts.minio()}
    stops = [_stop(c, MINIO_GRACE_SECONDS if c.id in minio else APP_GRACE_SECONDS) for c in live]
    starts = [
        step
        for start in _starts(facts, by_compose=True)
        for step in (start, _well(facts, start, wait))
    ]
    return Plan(
        title=title,
        steps=(*stops, *starts),
        notes=(*_without_compose(facts), *_new_images(facts)),
        done="all services run and are well",
        lock=facts.lock,
    )


def plan_emergency_restart(facts: Facts, wait: float = WELL_SECONDS) -> Plan:
    """Pure. From the containers that are there; compose only for what has none."""
    title = "start the deployment again"
    if refusal := _refusal(facts) or images_missing(facts, everything=False):
        return Plan(title, refusal=refusal)
    minio = {c.id for c in facts.minio()}
    steps: list[Step] = []
    hung = [c for c in reversed(facts.containers) if c.state in LIVE]
    steps += [_stop(c, MINIO_GRACE_SECONDS if c.id in minio else HASTY_SECONDS) for c in hung]
    for start in _starts(facts, by_compose=False):
        steps += [start, _well(facts, start, wait)]
    return Plan(
        title=title,
        steps=tuple(steps),
        notes=tuple(_without_compose(facts)),
        done="the deployment runs and is well",
        lock=facts.lock,
    )


def missing_services(facts: Facts) -> list[Service]:
    """Services of the compose files that have no container."""
    if facts.project is None:
        return []
    there = {c.service for c in facts.containers if of_project(facts, c)}
    return [s for s in facts.project.services.values() if s.name not in there]


def in_order(facts: Facts) -> list[Service]:
    """The compose files' services, each after those it depends on."""
    services = dict(facts.project.services) if facts.project else {}
    found: dict[str, Service] = {}

    def add(service: Service, above: frozenset[str]) -> None:
        for name in service.depends_on:
            if name in services and name not in above:
                add(services[name], above | {service.name})
        found.setdefault(service.name, service)

    minio = {*facts.settings.minio_service}
    for service in sorted(services.values(), key=lambda s: not {s.name, s.container_name} & minio):
        add(service, frozenset())
    return list(found.values())


def _starts(facts: Facts, *, by_compose: bool) -> Iterable[Step]:
    """One step a service: by compose where it shall and can, else the container that is there."""
    services = in_order(facts) if by_compose else []
    covered = {s.name for s in services}
    for container in facts.containers:
        if not (of_project(facts, container) and container.service in covered):
            yield Step(
                f"start {container.name} ({container.image})", Start(container.id, container.name)
            )
    for service in services or missing_services(facts):
        yield Step(
            f"docker compose up {service.name}, from the local image {service.image}",
            Up(service.name),
        )


def _well(facts: Facts, start: Step, wait: float) -> Step:
    return well(*_name_and_urls(facts, start), wait)


def well(name: str, urls: tuple[str, ...], wait: float) -> Step:
    """The step that waits until a service is well."""
    well = "runs and is not unhealthy"
    if urls:
        answer = "answers" if len(urls) == 1 else "answer"
        well = f"runs, is not unhealthy, and {' and '.join(urls)} {answer} well"
    return Step(
        f"wait up to {wait:.0f} s until {name} {well}",
        Well(name, urls, wait),
        undo="nothing; if it fails: sermon-recovery logs --errors, sermon-recovery rollback",
    )


def _name_and_urls(facts: Facts, start: Step) -> tuple[str, tuple[str, ...]]:
    act = start.act
    if isinstance(act, Start):
        (container,) = [c for c in facts.containers if c.id == act.container_id]
        return container.name, facts.urls(container)
    if not isinstance(act, Up):
        raise TypeError(f"a start by {type(act).__name__}")
    service = facts.project.services[act.service] if facts.project else None
    there = [c for c in facts.containers if of_project(facts, c) and c.service == act.service]
    project = facts.project.name if facts.project else ""
    named = service.container_name if service else ""
    name = named or (there[0].name if there else f"{project}-{act.service}-1")
    return name, facts.urls_of_names({act.service, name})


def _stop(container: Container, grace: int) -> Step:
    return Step(
        f"stop {container.name} ({container.state}); it has {grace} s to end",
        Stop(container.id, container.name, grace),
        loses=UNDER_WAY,
        undo=f"docker start {container.name}",
    )


def _refusal(facts: Facts) -> str:
    if facts.engine_problem:
        return f"{facts.engine_problem}. First: {facts.engine_mend}"
    if words := ports_taken(facts):
        return f"{words}. Nothing was stopped"
    if not facts.containers and facts.project is None:
        return f"there is no container of the deployment, and no compose file to make one from: {facts.compose_problem}"
    return ""


def images_missing(facts: Facts, *, everything: bool) -> str:
    """Why compose could not start something: its image is not on this machine."""
    if facts.project is None:
        return ""
    wanted = facts.project.services.values() if everything else missing_services(facts)
    missing = sorted({s.image or s.name for s in wanted if s.image not in facts.images})
    if not missing:
        return ""
    return (
        f"not on this machine: {', '.join(missing)}. Nothing was stopped. Bring it here with "
        "docker compose pull, or go to a version that is here: sermon-recovery rollback"
    )


def ports_taken(facts: Facts) -> str:
    """Why a service could not be started: somebody else listens where it must."""
    others = taken(facts.project, facts.containers, facts.held)
    found = [
        f"port {port}, which {service} needs, is held by {holder} (sudo ss -ltnp 'sport = :{port}')"
        for service, ports in others.items()
        for port, holder in ports.items()
    ]
    return "; ".join(found)


def _without_compose(facts: Facts) -> list[str]:
    if facts.project is not None:
        return []
    return [f"{facts.compose_problem}: the containers are started as they are"]


def _new_images(facts: Facts) -> list[str]:
    """Where a restart is a deployment too: the file names another image than the one that runs."""
    notes = []
    for container in facts.containers:
        service = facts.project.services.get(container.service) if facts.project else None
        if service is None or not of_project(facts, container):
            continue
        image = facts.images.get(service.image)
        if image and image != container.image_id:
            notes.append(
                f"{service.name} gets another image: {service.image} is now {image[7:19]}, "
                f"and {container.image_id[7:19]} runs"
            )
    return notes
