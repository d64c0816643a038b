"""A backup's parts put back where they were: files by a rename, the store in one transaction, objects whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from recovery.backup import database
from recovery.backup.blobs import Blobs
from recovery.backup.fetch import Told, in_threads
from recovery.backup.files import is_secret
from recovery.backup.index import Entry
from recovery.backup.manifest import Kept, Manifest
from recovery.backup.objects import About, Credentials, GoneError, ObjectRefusedError, Objects
from recovery.backup.reading import Chunks, being_read, content, the_one_before
from recovery.backup.sealing import Key
from recovery.backup.shelf import blobs, entries, key_to_read
from recovery.backup.verify import everything
from recovery.checks.storage import size
from recovery.steps import Hands, StepError
from target.files import replace_bytes

MOST_REFUSED = 10
"""Then it is no single object's fault."""


@dataclass(frozen=True)
class Opened:
    """A backup that can be read; the key is derived anew, so that a plan holds none."""

    folder: Path
    manifest: Manifest
    passphrase: SecretStr | None = None

    def key(self) -> Key | None:
        return key_to_read(self.folder, self.manifest, self.passphrase)


@dataclass(frozen=True)
class Verify:
    """Everything, before anything is changed."""

    backup: Opened
    data: bool

    def do(self, hands: Hands) -> str:
        manifest = self.backup.manifest
        if not self.data:
            manifest = manifest.model_copy(update={"data": None})
        found = everything(self.backup.folder, manifest, self.backup.key(), hands.progress)
        if found:
            older = the_one_before(manifest, self.backup.folder.parent, data=self.data)
            mend = f". The one before it: {older}" if older else ""
            raise StepError(
                f"{manifest.name} is damaged, and nothing was changed: {'; '.join(found)}{mend}"
            )
        return ""


@dataclass(frozen=True)
class Files:
    """``places``: where each file goes, by its name in the backup."""

    backup: Opened
    places: tuple[tuple[Kept, Path], ...]

    def do(self, _: Hands) -> str:
        key = self.backup.key()
        for kept, path in self.places:
            replaced(path, content(self.backup.folder, kept, key), kept)
        return f"{len(self.places)} files"


@dataclass(frozen=True)
class Store:
    backup: Opened
    kept: Kept
    path: Path

    def do(self, _: Hands) -> str:
        image = content(self.backup.folder, self.kept, self.backup.key())
        incidents = database.look(image)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            _owned(self.path, self.kept)
        database.put_back(image, self.path)
        return f"{incidents} incidents"


@dataclass(frozen=True)
class PutObjects:
    """Those that are there as they were are left alone; what is there beside them stays."""

    backup: Opened
    access: Credentials

    def do(self, hands: Hands) -> str:
        with being_read(self.backup.folder.parent):
            return self._done(hands)

    def _done(self, hands: Hands) -> str:
        data = self.backup.manifest.data
        if data is None:
            raise StepError(f"{self.backup.manifest.name} has no sermons in it")
        key, objects = self.backup.key(), Objects(self.access)
        for bucket in data.buckets:
            objects.make_bucket(bucket)
        contents = blobs(self.backup.folder.parent, key)
        told = Told(hands.progress, "put back", data.objects, data.bytes)
        wanted, refused = list(entries(self.backup.folder, self.backup.manifest, key)), list[str]()

        def one(entry: Entry) -> int:
            """One that is refused keeps nobody from having the others."""
            try:
                return _object(objects, contents, entry, told)
            except ObjectRefusedError as error:
                refused.append(str(error))
                if len(refused) > MOST_REFUSED:
                    raise
                return 0

        written = sum(in_threads(one, wanted))
        if refused:
            raise StepError(
                f"{len(refused)} of {len(wanted)} objects could not be put back, the others are there: "
                f"{'; '.join(refused)}"
            )
        _all_there(objects, wanted)
        return (
            f"{len(wanted)} objects, {size(data.bytes)}: {written} written, the others were there"
        )


def replaced(path: Path, text: bytes, kept: Kept) -> None:
    """By a rename; its owner's alone until it has its mode, and what holds passwords is nobody else's for good."""
    _folders(path, kept)

    def dress(handle: int) -> None:
        _owned(handle, kept)
        os.fchmod(handle, kept.mode & (0o770 if is_secret(kept.name) else 0o777))

    replace_bytes(path, text, dress)


def _folders(path: Path, kept: Kept) -> None:
    """Those that are missing. One within the project is its owner's alone: it may have been what hid the file."""
    within = len(Path(kept.name).parts) - 2
    missing = [(n, folder) for n, folder in enumerate(path.parents) if not folder.exists()]
    for number, folder in reversed(missing):
        folder.mkdir(mode=0o700 if number < within else 0o755, exist_ok=True)
        if number < within:
            _owned(folder, kept)


def put(objects: Objects, contents: Blobs, entry: Entry, bucket: str, key: str) -> None:
    """Write one object; it is there whole or not at all. Raises StepError."""
    chunks = Chunks(contents.read(entry.blob, entry.sha256, entry.bytes))
    about = About(entry.bytes, entry.etag, entry.modified, entry.headers)
    objects.put(bucket, key, chunks, about, entry.tags)


def same(about: About | None, tags: Mapping[str, str], entry: Entry) -> bool:
    """Whether an object is what the backup has. Pure."""
    if about is None:
        return False
    alike = (about.bytes, about.etag) == (entry.bytes, entry.etag)
    return alike and dict(about.headers) == entry.headers and dict(tags) == entry.tags


def _object(objects: Objects, contents: Blobs, entry: Entry, told: Told) -> int:
    about, tags = objects.about(entry.bucket, entry.key), {}
    if about is not None:
        with contextlib.suppress(GoneError):
            tags = objects.tags(entry.bucket, entry.key)
    if not (there := same(about, tags, entry)):
        put(objects, contents, entry, entry.bucket, entry.key)
    told.more(entry.bytes, 1)
    return int(not there)


def _all_there(objects: Objects, wanted: list[Entry]) -> None:
    names = {entry.bucket for entry in wanted}
    there = {(o.bucket, o.key): o.bytes for name in names for o in objects.listed(name)}
    missing = [e.title for e in wanted if there.get((e.bucket, e.key)) != e.bytes]
    if missing:
        raise StepError(f"{len(missing)} objects are not there afterwards, the first: {missing[0]}")


def _owned(file: int | Path, kept: Kept) -> None:
    """As it was; whoever may not give files away keeps them."""
    if kept.uid is not None and kept.gid is not None:
        with contextlib.suppress(PermissionError):
            os.chown(file, kept.uid, kept.gid)
