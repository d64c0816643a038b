"""backup-create: what it takes to make this deployment again, in a directory of its own with a manifest.

A backup is made under a hidden name and renamed when it is whole and on the disk, so that one that has a
name is a whole one. The manifest lists every file with its checksum; ``problems`` checks a backup against it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ConfigDict, ValidationError

from recovery import inputs
from recovery.checks.storage import size
from recovery.cleanup import UNFINISHED
from recovery.deployments import Facts, gather
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.run_rollback import ledger_path
from recovery.steps import Hands, Plan, Step, StepError
from target.engine import EngineError

MANIFEST = "manifest.json"
SCHEMA = 1
PROJECT = "project/"
"""Begins the name of what was in COMPOSE_PROJECT_DIR."""
PERCENT_LEFT = 1.0
"""Of the disk: a backup does not fill it."""
_ENVS = re.compile(r"\.env(\..+)?|.+\.env|\.ports\.env")


@dataclass(frozen=True)
class Source:
    """One file to copy, and where it goes within the backup."""

    path: Path
    name: str
    bytes: int


class Kept(BaseModel):
    """One file of a backup, as the manifest has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    source: str
    """Where it was; empty for what was written for the backup."""
    mode: int
    bytes: int
    sha256: str


class Manifest(BaseModel):
    """What is in a backup. Whoever extends it adds fields with a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    schema_version: int = SCHEMA
    name: str
    created_at: datetime
    host: str
    project: str
    files: tuple[Kept, ...]


@click.command("backup-create", epilog="Example: sermon-recovery backup-create before-update")
@click.argument(
    "name",
    required=False,
    callback=inputs.matching("letters, digits and ._-, at most 128", inputs.NAME.fullmatch),
)
@changes
def backup_create(flags: Flags, name: str | None) -> None:
    """Save the configuration: compose files, .env, image digests and the ledger of versions.

    Into BACKUP_DIR/NAME, readable by its owner only. NAME is the time where none is given. The
    sermons themselves are not in it.
    """
    chosen = name or f"backup-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

    def plan(session: Session) -> Plan:
        facts = gather(session)
        images, problem = image_list(session, facts)
        return plan_backup(facts, chosen, tuple(sources(facts)), images, problem, _available(facts))

    change("backup-create", flags, plan)


def plan_backup(
    facts: Facts,
    name: str,
    files: Sequence[Source],
    images: Sequence[Mapping[str, Any]],
    images_problem: str,
    available_bytes: float,
) -> Plan:
    """Pure, but for the look whether the name is taken."""
    folder = facts.settings.backup_dir / name
    title = f"save the configuration in {folder}"
    if os.path.lexists(folder):
        return Plan(title, refusal=f"{folder} is there already: choose another name")
    if not any(one.name.startswith(PROJECT) for one in files):
        words = facts.compose_problem or "there are none"
        return Plan(title, refusal=f"no compose file could be saved: {words}")
    if not writable(folder.parent):
        return Plan(
            title,
            refusal=f"{folder.parent} may not be written by this user: sudo, or set BACKUP_DIR",
        )
    needed = sum(one.bytes for one in files)
    if needed > available_bytes:
        words = f"{size(needed)} are needed and {size(available_bytes)} may be taken"
        return Plan(title, refusal=f"the disk of {facts.settings.backup_dir} is too full: {words}")
    listed = ", ".join(one.name for one in files)
    notes = ["the sermons are not in it: MinIO's data are left where they are"]
    if facts.compose_problem:
        notes.append(facts.compose_problem)
    if images_problem:
        notes.append(f"without the images' digests: {images_problem}")
    project = facts.project.name if facts.project else ""
    step = Step(
        f"copy {len(files)} file{'s' if len(files) > 1 else ''} ({size(needed)}: {listed}) and the digests of {len(images)} images",
        CreateBackup(folder, project, tuple(files), json.dumps(list(images), indent=2)),
        undo=f"rm -r {folder}",
    )
    look = Step("check every copy against its checksum", CheckBackup(folder))
    return Plan(title, (step, look), tuple(notes), done=f"saved in {folder}", asks=False)


def sources(facts: Facts) -> Iterator[Source]:
    """The compose files in force, the others beside them, what holds their variables, and the ledger."""
    folder = facts.settings.compose_project_dir
    found: dict[str, Path] = {}
    for file in facts.compose.files if facts.compose else ():
        found.setdefault(f"{PROJECT}{file.name}", file)
    for path in sorted(_files(folder)):
        if _ENVS.fullmatch(path.name) or re.fullmatch(r"(docker-)?compose.*\.ya?ml", path.name):
            found.setdefault(f"{PROJECT}{path.name}", path)
    found.setdefault("versions.json", ledger_path(facts.settings))
    for name, path in found.items():
        try:
            yield Source(path, name, path.stat().st_size)
        except FileNotFoundError:
            continue  # no version has been seen yet


def image_list(session: Session, facts: Facts) -> tuple[list[dict[str, Any]], str]:
    """Of each container: what it was made from, by a name that never moves where a registry gave one."""
    found: list[dict[str, Any]] = []
    if facts.engine_problem:
        return found, facts.engine_problem
    for container in facts.containers:
        row = {"container": container.name, "service": container.service, "image": container.image}
        try:
            image = session.engine.image(container.image_id)
        except EngineError as error:
            return found, str(error)
        labels = {"revision": image.revision, "version": image.version}
        found.append(row | {"image_id": image.id, "digests": list(image.digests)} | labels)
    return found, ""


@dataclass(frozen=True)
class CreateBackup:
    folder: Path
    project: str
    files: tuple[Source, ...]
    images: str
    """JSON."""

    def do(self, hands: Hands) -> str:
        parent = self.folder.parent
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))  # 0700
        try:
            kept = [self._copy(one, unfinished) for one in self.files]
            kept.append(_written(unfinished, "images.json", self.images.encode()))
            self._manifest(unfinished, kept)
            _sync(unfinished)
            unfinished.rename(self.folder)
            _sync(parent)
        except BaseException:  # Ctrl-C too: half a backup must not stay
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return f"{len(kept)} files, {size(sum(one.bytes for one in kept))}"

    def _copy(self, one: Source, folder: Path) -> Kept:
        status = one.path.stat()
        made = _written(folder, one.name, one.path.read_bytes())
        return made.model_copy(update={"source": str(one.path), "mode": status.st_mode & 0o7777})

    def _manifest(self, folder: Path, kept: Iterable[Kept]) -> None:
        manifest = Manifest(
            name=self.folder.name,
            created_at=datetime.now(UTC),
            host=socket.gethostname(),
            project=self.project,
            files=tuple(kept),
        )
        _written(folder, MANIFEST, manifest.model_dump_json(indent=2).encode())


@dataclass(frozen=True)
class CheckBackup:
    folder: Path

    def do(self, _: Hands) -> str:
        if found := problems(self.folder):
            raise StepError("; ".join(found))
        return ""


def read_manifest(folder: Path) -> Manifest:
    """Raises StepError where ``folder`` is no backup of ours."""
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StepError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise StepError(f"{path} is no manifest: {error.error_count()} fields at fault") from error


def problems(folder: Path) -> list[str]:
    """What is missing in a backup, or is not as it was written. Raises StepError where it is none."""
    found = []
    for kept in read_manifest(folder).files:
        path = folder / kept.name
        if not path.resolve().is_relative_to(folder.resolve()):
            found.append(f"{kept.name}: lies outside of the backup")
            continue
        try:
            content = path.read_bytes()
        except OSError as error:
            found.append(f"{kept.name}: {error.strerror}")
            continue
        if hashlib.sha256(content).hexdigest() != kept.sha256:
            found.append(f"{kept.name}: is not what was written")
    return found


def writable(folder: Path) -> bool:
    """Whether this user may make something in ``folder``, or make the folder itself."""
    place = next(p for p in (folder, *folder.parents) if _there(p))
    return os.access(place, os.W_OK | os.X_OK, effective_ids=True)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # its parent may not be looked into
        return False


def _written(folder: Path, name: str, content: bytes) -> Kept:
    path = folder / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    digest = hashlib.sha256(content).hexdigest()
    return Kept(name=name, source="", mode=0o600, bytes=len(content), sha256=digest)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []


def _available(facts: Facts) -> float:
    folder = facts.settings.backup_dir
    stat = os.statvfs(next(p for p in (folder, *folder.parents) if _there(p)))
    return max(0.0, stat.f_frsize * (stat.f_bavail - PERCENT_LEFT / 100 * stat.f_blocks))
