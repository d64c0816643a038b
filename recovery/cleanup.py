"""cleanup: room on the disk, by what nothing needs. Never a volume, never a way back."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from recovery.backup.first import fresh_first, without_backup
from recovery.backup.places import UNFINISHED
from recovery.checks.project import pinned
from recovery.checks.storage import size
from recovery.deployments import Facts, gather
from recovery.ledger import ledger_path
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.steps import Hands, Plan, Step
from target.backups import STATUS
from target.reclaimable import Reclaimable, reclaimable
from target.version_keeper import LedgerFile
from target.versions import OWN_IMAGES, Ledger, repository_of

OLD_SECONDS = 3600.0
"""A younger temporary file may still be written."""


@dataclass(frozen=True)
class Garbage:
    """What could go, with the bytes that it takes."""

    images: tuple[Reclaimable, ...] = ()
    build_cache_bytes: int = 0
    files: tuple[tuple[Path, int], ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def bytes(self) -> int:
        images = sum(one.bytes for one in self.images)
        return images + self.build_cache_bytes + sum(count for _, count in self.files)


@click.command("cleanup", epilog="Example: sermon-recovery cleanup --dry-run")
@without_backup
@changes
def cleanup(flags: Flags, without_backup: bool) -> None:
    """Make room: old versions of the application, images without a name, build cache, temporary files.

    Never a volume, a container, a log, the image that runs, a version that proved good lately, or
    anything of somebody else's that has a name. Where there is no fresh backup one of the configuration is
    made first; where none can be made it is refused, unless for want of room.
    """

    def plan(session: Session) -> Plan:
        facts = gather(session)
        plan = plan_cleanup(facts, garbage(session, facts))
        return fresh_first(session, facts, "cleanup", plan, told=without_backup)

    change("cleanup", flags, plan)


def plan_cleanup(facts: Facts, found: Garbage) -> Plan:
    """Pure."""
    if facts.engine_problem and not found.files:
        return Plan(
            "make room",
            refusal=f"{facts.engine_problem}. First: {facts.engine_mend}",
        )
    steps = list(cleanup_steps(found))
    if not steps:
        return Plan("there is nothing that could be removed safely")
    folder = facts.settings.compose_project_dir
    steps.append(Step("look how full the disk is now", Room(folder)))
    return Plan(
        title=f"make room: up to {size(found.bytes)}",
        steps=tuple(steps),
        notes=("no volume, no container and no version to go back to is touched", *found.notes),
        done="the disk is cleaned up",
        goes_on=True,
    )


def cleanup_steps(found: Garbage) -> Iterator[Step]:
    for image in found.images:
        name = image.names[0] if image.names else f"{image.id[7:19]}, which has no name"
        pull = next((n for n in image.names if "/" in n), "")
        yield Step(
            f"remove the image {name}: {size(image.bytes)}",
            RemoveImage(image.id, image.names),
            loses="the image on this machine",
            undo=f"docker pull {pull}" if pull else "none: it would have to be built again",
        )
    if found.build_cache_bytes:
        yield Step(
            f"remove the build cache that nothing uses: {size(found.build_cache_bytes)}",
            PruneBuildCache(),
            loses="the next docker build takes longer",
            undo="none: it fills again by itself",
        )
    for path, count in found.files:
        yield Step(
            f"remove {path}: {size(count)}",
            RemoveFile(path),
            loses="what a crash left half written",
            undo="none",
        )


def garbage(session: Session, facts: Facts) -> Garbage:
    """Pure read."""
    files = tuple(_leftovers(facts))
    if facts.engine_problem:
        return Garbage(files=files, notes=(facts.engine_problem,))
    ledger, problem = _ledger(session)
    usage = session.engine.disk_usage()
    containers = session.engine.containers()
    if problem:  # nobody knows what proved good: then only what has no name may go
        repositories: set[str] = set()
    else:
        repositories = _repositories(facts, ledger)
    images = reclaimable(usage.get("Images") or (), containers, ledger, _named(facts), repositories)
    cache = sum(one.get("Size", 0) for one in usage.get("BuildCache") or () if not one.get("InUse"))
    notes = (f"versions of the application are left alone: {problem}",) if problem else ()
    return Garbage(images, int(cache), files, notes)


def _ledger(session: Session) -> tuple[Ledger, str | None]:
    path = ledger_path(session.settings)
    try:
        ledger, problem = LedgerFile(path).read()
    except OSError as error:
        return Ledger(), f"{path}: {error.strerror}"
    if not problem and not ledger.releases:
        return ledger, f"{path} knows no version yet"
    return ledger, problem


def _repositories(facts: Facts, ledger: Ledger) -> set[str]:
    """Of the application alone: MinIO's images may be had nowhere any more."""
    others = set() if facts.shared else {c.service for c in facts.minio()}
    names = [c.image for c in facts.app()]
    names += [r.image for r in ledger.releases if r.service not in others]
    storage = {repository_of(c.image) for c in facts.minio()} if not facts.shared else set()
    return {repository_of(n) for n in names if not n.startswith(OWN_IMAGES)} - {""} - storage


def _named(facts: Facts) -> set[str]:
    """By reference and by id; what a pin replaced counts too."""
    found = {s.image for s in facts.project.services.values()} if facts.project else set()
    return found | {pin.original for pin in pinned(facts)} | set(facts.images.values())


def _leftovers(facts: Facts) -> Iterator[tuple[Path, int]]:
    """Temporary files of ours that a crash left: those of replace_text, and unfinished backups.

    A restore also replaces .env, so that what a crash left of it holds passwords.
    """
    settings = facts.settings
    names = [".env", *(file.name for file in (facts.compose.files if facts.compose else ()))]
    places = [(settings.compose_project_dir, [f".{name}." for name in names])]
    places += [(settings.state_dir, [".versions.json."])]
    places += [(settings.backup_dir, [UNFINISHED, f".{STATUS}."])]
    for folder, beginnings in places:
        for entry in _entries(folder):
            if any(entry.name.startswith(one) for one in beginnings):
                path = Path(entry.path)
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > OLD_SECONDS:
                    yield path, tree_bytes(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # not there, or not ours to read: then there is nothing to remove
        return []


def tree_bytes(path: Path) -> int:
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(tree_bytes(below) for below in path.iterdir())


@dataclass(frozen=True)
class RemoveImage:
    id: str
    names: tuple[str, ...]

    def do(self, hands: Hands) -> str:
        """Every name by itself: an image with several is not removed by its id without force."""
        for name in self.names or (self.id,):
            hands.engine.remove_image(name)
        return ""


@dataclass(frozen=True)
class PruneBuildCache:
    def do(self, hands: Hands) -> str:
        return f"freed {size(hands.engine.prune_build_cache())}"


@dataclass(frozen=True)
class RemoveFile:
    path: Path

    def do(self, _: Hands) -> str:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)
        return ""


@dataclass(frozen=True)
class Room:
    folder: Path

    def do(self, _: Hands) -> str:
        place = next(p for p in (self.folder, *self.folder.parents) if p.exists())
        stat = os.statvfs(place)
        return f"{size(stat.f_bavail * stat.f_frsize)} available on the disk of {place}"
