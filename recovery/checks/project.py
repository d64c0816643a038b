"""The compose project's files, its versions and pins, who changes it right now, and the Engine itself."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from recovery.deployments import Facts
from recovery.finding import Finding
from recovery.inputs import CLOCK_FLOOR
from recovery.ledger import ledger_path
from recovery.run import Session
from target.compose_file import ComposeFileError, find_image, unquoted
from target.deployment import DeployError, read_compose_text
from target.lock import LockHeldError, holder
from target.version_keeper import LedgerFile
from target.versions import last_known_good, running

RELEASE = "sermon-recovery post-deploy"
VERSIONS = "sermon-recovery versions"


def docker_engine(session: Session, facts: Facts) -> Iterator[Finding]:
    """Whether it answers, and which it is."""
    if facts.engine_problem:
        yield Finding("problem", "Docker Engine", facts.engine_problem, facts.engine_mend)
        return
    version = session.engine.version()
    yield Finding("ok", "Docker Engine", f"{version.get('Version', '?')} at {session.engine.host}")


def compose_files(_: Session, facts: Facts) -> Iterator[Finding]:
    """Whether docker compose understands them, and who may read the secrets beside them."""
    if facts.compose is None or facts.project is None:
        mend = "set COMPOSE_PROJECT_DIR and COMPOSE_FILE; or put the files back from BACKUP_DIR"
        yield Finding("problem", "compose files", facts.compose_problem, mend)
        return
    names = ", ".join(str(file) for file in facts.compose.files)
    yield Finding(
        "ok",
        "compose files",
        f"{names}: project {facts.project.name}, {', '.join(facts.project.services)}",
    )
    for warning in facts.project.warnings:
        yield Finding(
            "warning", "compose files", warning, f"edit {facts.compose.files[-1].parent / '.env'}"
        )
    env = facts.compose.files[-1].parent / ".env"
    try:
        mode = stat.S_IMODE(env.stat().st_mode)
    except OSError:
        return
    if mode & stat.S_IROTH:
        yield Finding(
            "warning", ".env", f"{env} holds secrets and everyone may read it", f"chmod 600 {env}"
        )


def images(_: Session, facts: Facts) -> Iterator[Finding]:
    """Whether what the compose files name is on this machine: without it nothing can be started anew."""
    for service in facts.project.services.values() if facts.project else ():
        if not facts.engine_problem and service.image and service.image not in facts.images:
            words = f"{service.image} is not on this machine: {service.name} cannot be made anew"
            yield Finding("warning", "image", words, f"docker pull {service.image}")


def versions(session: Session, facts: Facts) -> Iterator[Finding]:
    """What runs, whether there is a way back, and whether an image is pinned."""
    try:
        ledger, problem = LedgerFile(ledger_path(session.settings)).read()
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    if problem:
        yield Finding(
            "warning", "versions", problem, "sermon-recovery rollback --to-version TAG still works"
        )
        return
    for service in sorted({c.service for c in facts.app()}):
        now = running(ledger, service)
        if now is None:
            yield Finding(
                "note",
                "versions",
                f"{service} is not in the ledger yet",
                "sermon-monitor serve writes it",
            )
            continue
        back = last_known_good(ledger, service, now.image_id)
        yield Finding("note", "versions", f"{service} runs {now.title}, verdict {now.verdict}")
        if back is None:
            words = f"no version of {service} other than the running one is known to be good: no way back by itself"
            yield Finding("warning", "versions", words, VERSIONS)
        else:
            yield Finding("ok", "versions", f"the way back of {service} is {back.title}")


def pins(_: Session, facts: Facts) -> Iterator[Finding]:
    """A pin outlives its rollback: until it is released no deployment reaches this service."""
    for pin in pinned(facts):
        words = f"{pin.service} is pinned to {pin.image} since a rollback; {pin.file.name} had {pin.original}"
        yield Finding("warning", "pin", words, f"once a good version is deployed: {RELEASE}")


class Pin(NamedTuple):
    """A service's image as a rollback has fixed it, and what stood there before."""

    file: Path
    service: str
    image: str
    original: str


def pinned(facts: Facts) -> Iterator[Pin]:
    """Every pin in the compose files."""
    for file in facts.compose.files if facts.compose else ():
        try:
            text = read_compose_text(file)
        except DeployError:
            continue  # said by compose_files already
        for service in facts.project.services if facts.project else ():
            try:
                found = find_image(text, service)
            except ComposeFileError:
                continue  # a built service, or one of another file
            if found.original is not None:
                yield Pin(file, service, found.value, unquoted(found.original))


def lock(_: Session, facts: Facts) -> Iterator[Finding]:
    """Whether a rollback or a restart is at work right now."""
    if facts.lock is None:
        return
    try:
        holder(facts.lock)
    except LockHeldError as error:
        words = f"another change of this deployment is at work: {error}"
        yield Finding("warning", "lock", words, "wait for it; kill its pid if it hangs")


def clock(session: Session, _: Facts) -> list[Finding]:
    """Without asking anybody: no right clock is earlier than this program, or than what the ledger has seen."""
    now, floor = datetime.now(UTC), CLOCK_FLOOR
    try:
        ledger, _problem = LedgerFile(ledger_path(session.settings)).read()
        floor = max([floor, *(r.until or r.since for r in ledger.releases)])
    except OSError:
        pass  # said by versions
    if now < floor:
        words = f"it says {now:%Y-%m-%d %H:%M} UTC, and it has been {floor:%Y-%m-%d %H:%M} already"
        return [Finding("problem", "clock", words, "sudo timedatectl set-ntp true; timedatectl")]
    return []
