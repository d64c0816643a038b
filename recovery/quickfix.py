"""quick-fix: what can be mended without a decision: start what is stopped, restart what hangs, make room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import click

from recovery.acts import (
    APP_GRACE_SECONDS,
    MINIO_GRACE_SECONDS,
    WELL_SECONDS,
    Start,
    Stop,
    Unpause,
    Up,
)
from recovery.backup.first import shown_age
from recovery.checks.containers import containers
from recovery.checks.endpoints import endpoints
from recovery.checks.network import ports
from recovery.checks.storage import disks
from recovery.cleanup import Garbage, cleanup_steps, garbage
from recovery.deployments import Facts, gather
from recovery.finding import Finding, ranked
from recovery.looking import run_checks
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.services import (
    UNDER_WAY,
    images_missing,
    missing_services,
    ports_taken,
    wait_option,
    well,
)
from recovery.steps import Plan, Step
from target.engine import Container

LOOKED_AT = (endpoints, containers, ports, disks)


@click.command("quick-fix", epilog="Example: sermon-recovery quick-fix --dry-run")
@wait_option
@changes
def quick_fix(flags: Flags, wait: float) -> None:
    """Mend what can be mended without a decision, and leave alone what is well.

    Starts what is stopped or has no container, restarts what does not answer, and cleans up a disk
    that is full. What it cannot mend it names, with what to type.
    """
    seen: list[Facts] = []

    def plan(session: Session) -> Plan:
        facts = gather(session)
        seen.append(facts)
        found = run_checks(session, facts, LOOKED_AT)
        full = any(f.what == "disk" and f.level == "problem" for f in found)
        if not full:
            return plan_quick_fix(facts, found, Garbage(), wait)
        made = plan_quick_fix(facts, found, garbage(session, facts), wait)
        return replace(made, notes=(*made.notes, shown_age(session)))

    change("quick-fix", flags, plan, lambda _: seen[0].compose)


def plan_quick_fix(
    facts: Facts, found: list[Finding], room: Garbage, wait: float = WELL_SECONDS
) -> Plan:
    """Pure: from what was found to the steps that mend it."""
    problems = [f for f in ranked(found) if f.level == "problem"]
    if not problems:
        return Plan("nothing is broken that could be mended here")
    title = f"mend what can be mended: {len(problems)} problem{'s' if len(problems) > 1 else ''}"
    notes = tuple(f"{f.what}: {f.words}" for f in problems)
    if facts.engine_problem:
        words = f"{facts.engine_problem}. First: {facts.engine_mend}"
        return Plan(title, notes=notes, refusal=words)
    if words := ports_taken(facts):
        words = f"{words}. Nothing of somebody else's is ended here"
        return Plan(title, notes=notes, refusal=words)
    if missing := images_missing(facts, everything=False):
        return Plan(title, notes=notes, refusal=missing)
    steps = (*cleanup_steps(room), *_service_steps(facts, problems, wait))
    if not steps:
        words = "none of it can be mended without a decision"
        return Plan(title, notes=notes, refusal=f"{words}: {_by_hand(problems)}")
    return Plan(title, steps, notes, done="what could be mended is mended", lock=facts.lock)


def _service_steps(facts: Facts, problems: list[Finding], wait: float) -> Iterator[Step]:
    """In the order in which services need each other."""
    silent = {f.what for f in problems}
    sick_urls = {url for url in facts.urls_of_names({*facts.settings.app_service, *facts.settings.minio_service})
                 if any(url in f.words for f in problems)}  # fmt: skip
    for container in facts.containers:
        urls = facts.urls(container)
        answers = not sick_urls & {*urls}
        if container.state == "paused":
            yield Step(
                f"let {container.name} go on: it is paused",
                Unpause(container.id),
                undo=f"docker pause {container.name}",
            )
        elif not container.running:
            words = f"start {container.name} ({container.image}), which is {container.state}"
            yield Step(
                words, Start(container.id, container.name), undo=f"docker stop {container.name}"
            )
        elif container.name in silent or not answers:
            yield from _restart(facts, container)
        else:
            continue
        yield well(container.name, urls, wait)
    for service in missing_services(facts):
        words = f"docker compose up {service.name}, from the local image {service.image}"
        up = Step(words, Up(service.name), undo=f"docker compose rm --stop {service.name}")
        name = (
            service.container_name
            or f"{facts.project.name if facts.project else ''}-{service.name}-1"
        )
        yield up
        yield well(name, facts.urls_of_names({service.name, name}), wait)


def _restart(facts: Facts, container: Container) -> Iterator[Step]:
    storage = container.id in {c.id for c in facts.minio()}
    grace = MINIO_GRACE_SECONDS if storage else APP_GRACE_SECONDS
    again = f"docker start {container.name}"
    words = f"stop {container.name}, which runs and is not well; it has {grace} s to end"
    yield Step(words, Stop(container.id, container.name, grace), UNDER_WAY, again)
    yield Step(
        f"start {container.name}",
        Start(container.id, container.name),
        undo=f"docker stop {container.name}",
    )


def _by_hand(problems: list[Finding]) -> str:
    return "; ".join(f.mend for f in problems if f.mend)
