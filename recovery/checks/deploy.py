"""What must be right before a deployment begins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from recovery.backup.first import FAILED, before, shown_age
from recovery.checks.containers import containers
from recovery.checks.endpoints import endpoints
from recovery.checks.network import outside
from recovery.checks.project import lock, pinned
from recovery.checks.storage import size
from recovery.deployments import Facts
from recovery.finding import Finding
from recovery.run import Session
from recovery.steps import Hands

ROOM_BYTES = 2 * 1024**3
"""Of a new image and the old one beside it."""
RELEASE = "sermon-recovery post-deploy --release-pin"


def health_before(session: Session, facts: Facts) -> Iterator[Finding]:
    """A deployment may be what mends it, so nothing here forbids it."""
    for finding in (*endpoints(session, facts), *containers(session, facts)):
        yield replace(finding, level="warning") if finding.level == "problem" else finding


def nobody_else_at_work(session: Session, facts: Facts) -> Iterator[Finding]:
    for finding in lock(session, facts):
        yield replace(finding, level="problem")


def no_pin_in_the_way(_: Session, facts: Facts) -> Iterator[Finding]:
    """A deployment that pulls and starts what the file names would start the pinned version again."""
    for pin in pinned(facts):
        words = f"{pin.service} is pinned to {pin.image} since a rollback: a deployment would not reach it"
        yield Finding("problem", "pin", words, f"{RELEASE}, which puts {pin.original} back")


def registry_reached(session: Session, facts: Facts) -> Iterator[Finding]:
    for finding in outside(session, facts):
        needed = finding.what == "registry" and finding.level == "warning"
        yield replace(finding, level="problem") if needed else finding


def room_for_an_image(session: Session, facts: Facts) -> Iterator[Finding]:
    """Where Docker keeps its images."""
    if facts.engine_problem:
        return
    root = str(session.engine.info().get("DockerRootDir") or "/var/lib/docker")
    stat = os.statvfs(root)
    free = stat.f_bavail * stat.f_frsize
    words = f"{size(free)} available in {root}; an image needs up to {size(ROOM_BYTES)}"
    level = "ok" if free >= ROOM_BYTES else "problem"
    yield Finding(
        "ok" if level == "ok" else "problem",
        "room",
        words,
        "" if level == "ok" else "sermon-recovery cleanup",
    )


def backup_first(session: Session, facts: Facts) -> Iterator[Finding]:
    """Makes one; where none can be made, a fresh one serves."""
    mend = "sermon-recovery backup-create before-deployment"
    if session.flags.dry_run:
        yield Finding("note", "backup", f"one would be made; {shown_age(session)}")
        return
    first = before(session, facts, "deploy", needed=True)
    if first.step is None:
        words = first.refusal or "; ".join(first.notes)
        yield Finding("problem" if first.refusal else "warning", "backup", words, mend)
        return
    hands = Hands(session.settings, session.engine, facts.compose, session.terminal.detail)
    words = first.step.act.do(hands)
    failed = words.startswith(FAILED)
    yield Finding(
        "warning" if failed else "ok",
        "backup",
        f"{first.step.words}: {words}",
        mend if failed else "",
    )
