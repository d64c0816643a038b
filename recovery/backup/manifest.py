"""What a backup says of itself: every file with its checksum, and a seal over all that it says."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from recovery.backup.sealing import FRAME, Key, Wrapped
from recovery.steps import StepError

MANIFEST = "manifest.json"
SCHEMA = 2
"""1: without a seal, as the first release wrote it; it is still read."""
INDEX = "objects.jsonl"
Kind = Literal["by_hand", "daily", "before"]


class Kept(BaseModel):
    """One file of a backup, as the manifest has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    source: str
    """Where it was; empty for what was written for the backup."""
    mode: int
    bytes: int
    sha256: str
    """Of the bytes on the disk; under a key these are not the content's."""
    uid: int | None = None
    gid: int | None = None


class Bucket(BaseModel):
    """What a bucket is, beside its objects."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    versioning: str = ""
    policy: str = ""
    """JSON, or empty."""


class Data(BaseModel):
    """The sermons: what MinIO held."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    buckets: tuple[Bucket, ...] = ()
    objects: int = 0
    bytes: int = 0
    moved_objects: int = 0
    moved_bytes: int = 0
    """Read from MinIO for this backup; the rest was here already."""


class Manifest(BaseModel):
    """What is in a backup. Whoever extends it adds fields with a default."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    schema_version: int = SCHEMA
    name: str
    created_at: datetime
    host: str
    project: str
    files: tuple[Kept, ...]
    kind: Kind = "by_hand"
    seconds: float = 0.0
    key: Wrapped | None = None
    data: Data | None = None
    seal: str = ""

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.files) + (self.data.bytes if self.data else 0)


def as_sealed(manifest: Manifest, key: Key | None) -> str:
    """The text of the manifest's file."""
    said = json.loads(manifest.model_dump_json(exclude={"seal"}))
    return json.dumps(said | {"seal": _seal(said, key)}, indent=2)


def read_manifest(folder: Path) -> Manifest:
    """Raises StepError where ``folder`` is no backup of ours, or its manifest is not as it was written.

    Under a key only ``check_seal`` can tell the latter.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        if not content.strip(b"\0"):
            raise StepError(f"{path} is empty: what was written there never came to the disk")
        manifest = Manifest.model_validate_json(content)
        said = json.loads(content)
    except OSError as error:
        raise StepError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        raise StepError(f"{path} is no manifest: {error.error_count()} fields at fault") from error
    except ValueError as error:
        raise StepError(f"{path} is no manifest") from error
    if manifest.schema_version > SCHEMA:
        raise StepError(f"{path} is of a newer release: it has schema {manifest.schema_version}")
    if "key" not in said or manifest.key is None:
        _check(path, said, manifest, None)
    return manifest


def check_seal(folder: Path, manifest: Manifest, key: Key) -> None:
    """For a backup under a key. Raises StepError."""
    path = folder / MANIFEST
    _check(path, json.loads(path.read_bytes()), manifest, key)


def digest_of(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while chunk := file.read(FRAME):
        found.update(chunk)
    return found.hexdigest()


def _check(path: Path, said: dict[str, Any], manifest: Manifest, key: Key | None) -> None:
    seal = said.pop("seal", "")
    if manifest.schema_version == 1 and not seal and key is None:
        return
    if not hmac.compare_digest(str(seal).encode(), _seal(said, key).encode()):
        raise StepError(f"{path} is not what was written")


def _seal(said: dict[str, Any], key: Key | None) -> str:
    text = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    if key is None:
        return hashlib.sha256(text).hexdigest()
    return hmac.digest(key.part("manifest"), text, hashlib.sha256).hex()
