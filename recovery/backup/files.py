"""The configuration: which files make this deployment again, and how one is written into a backup."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recovery.backup.manifest import Kept
from recovery.backup.project import ENVS, ProjectFiles
from recovery.backup.sealing import Key, sealed
from recovery.deployments import Facts
from recovery.ledger import ledger_path
from recovery.run import Session
from target.engine import EngineError
from target.files import named

PROJECT = "project/"
"""Begins the name of what was in COMPOSE_PROJECT_DIR."""
IMAGES = "images.json"
LEDGER = "versions.json"


@dataclass(frozen=True)
class Source:
    """One file to copy, and where it goes within the backup."""

    path: Path
    name: str
    bytes: int


def sources(facts: Facts, ours: ProjectFiles) -> Iterator[Source]:
    """The files of the project, and the ledger."""
    found = {f"{PROJECT}{name}": path for name, path in ours.files.items()}
    found[LEDGER] = ledger_path(facts.settings)
    for name, path in found.items():
        try:
            yield Source(path, name, path.stat().st_size)
        except FileNotFoundError:
            continue  # no version has been seen yet


def is_secret(name: str) -> bool:
    """Whether a file of the project holds passwords."""
    return bool(ENVS.fullmatch(Path(name).name))


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


def copied(one: Source, folder: Path, key: Key | None) -> Kept:
    """A copy of a file in the unfinished backup ``folder``. Raises OSError."""
    with one.path.open("rb") as file:
        status, content = os.fstat(file.fileno()), file.read()
    made = written(folder, one.name, (content,), key)
    known = {"source": str(one.path), "mode": status.st_mode & 0o7777}
    return made.model_copy(update=known | {"uid": status.st_uid, "gid": status.st_gid})


def written(folder: Path, name: str, chunks: Iterable[bytes], key: Key | None) -> Kept:
    """0600 from its first byte, and on the disk when this returns. Raises OSError."""
    path = folder / name
    for parent in reversed(path.relative_to(folder).parents):
        (folder / parent).mkdir(mode=0o700, exist_ok=True)
    digest, count = hashlib.sha256(), 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with named(path), os.fdopen(handle, "wb") as file:
        for piece in sealed(key, chunks):
            digest.update(piece)
            count += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return Kept(name=name, source="", mode=0o600, bytes=count, sha256=digest.hexdigest())


def digests(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What to pull to have the images of ``images.json`` again."""
    return [str(d) for row in rows for d in row.get("digests", ())]
