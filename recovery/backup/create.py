"""One backup being made: under a hidden name, and renamed when it is whole and on the disk.

So one that has a name is a whole one. The objects' contents come first, each whole or not there; until a
manifest names them they are nothing but a head start for the next try.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from recovery.backup import database, index
from recovery.backup.fetch import Fetched, Former, fetch, listing
from recovery.backup.files import IMAGES, Source, copied, written
from recovery.backup.journal import Journal
from recovery.backup.manifest import INDEX, MANIFEST, Bucket, Data, Kept, Kind, Manifest, as_sealed
from recovery.backup.objects import Credentials, Objects
from recovery.backup.places import UNFINISHED, available_bytes
from recovery.backup.sealing import Key
from recovery.backup.shelf import LOCK, blobs, entries, key_to_write, shelf
from recovery.backup.verify import problems
from recovery.checks.storage import size
from recovery.steps import Hands, StepError
from target.files import sync, sync_filesystem
from target.lock import LockHeldError, exclusive

FOLDER_MODE = 0o755
"""Of BACKUP_DIR where we make it: the monitor sees in it how old the newest is. What is in it is its owner's alone."""


@dataclass(frozen=True)
class CreateBackup:
    folder: Path
    project: str
    files: tuple[Source, ...]
    images: str
    """JSON."""
    kind: Kind = "by_hand"
    passphrase: SecretStr | None = None
    store: Path | None = None
    """The monitor's own, where there is one."""
    access: Credentials | None = None
    """To MinIO, where the sermons are wanted too."""
    full: bool = False
    """Read every object anew."""

    def do(self, hands: Hands) -> str:
        began = time.monotonic()
        parent = self.folder.parent
        make_directory(parent)
        with alone(parent) if self.access else nullcontext(), _directory(parent) as disk:
            key = key_to_write(parent, self.passphrase)
            data, found = self._data(self.access, key, hands) if self.access else (None, None)
            manifest = Manifest(
                name=self.folder.name,
                created_at=datetime.now(UTC),
                host=socket.gethostname(),
                project=self.project,
                files=(),
                kind=self.kind,
                key=key.wrapped if key else None,
                data=data,
            )
            made, without = self._finish(manifest, found, key, began, disk)
            if self.access:
                Journal(parent, key).clear()
        return _words(made) + without

    def _data(self, access: Credentials, key: Key | None, hands: Hands) -> tuple[Data, Fetched]:
        parent, objects = self.folder.parent, Objects(access)
        contents, journal = blobs(parent, key), Journal(parent, key)
        contents.remove_temporary()
        buckets = tuple(objects.buckets())
        former: Former = {} if self.full else _former(parent, key) | journal.read(contents)
        listed = listing(objects, buckets)
        room = available_bytes(parent)
        with journal.writing() as note:
            found = fetch(objects, contents, listed, former, room, hands.progress, note)
        return _data(buckets, found), found

    def _finish(
        self, manifest: Manifest, found: Fetched | None, key: Key | None, began: float, disk: int
    ) -> tuple[Manifest, str]:
        """Everything is on the disk before the manifest is, and that before the name. Raises OSError.

        What was made, and in words what is not in it.
        """
        parent = self.folder.parent
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))  # 0700
        try:
            kept = [copied(one, unfinished, key) for one in self.files]
            kept.append(written(unfinished, IMAGES, (self.images.encode(),), key))
            store, without = self._store(unfinished, key)
            kept += store
            if found is not None:
                kept.append(written(unfinished, INDEX, index.lines(found.entries), key))
                sync_filesystem(disk)  # the contents: once for all of them
            seconds = round(time.monotonic() - began, 3)
            manifest = manifest.model_copy(update={"files": tuple(kept), "seconds": seconds})
            written(unfinished, MANIFEST, (as_sealed(manifest, key).encode(),), None)
            for place in (*(p for p in unfinished.rglob("*") if p.is_dir()), unfinished):
                sync(place)
            unfinished.rename(self.folder)
            sync(parent)
        except BaseException:  # Ctrl-C too: half a backup must not stay
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return manifest, without

    def _store(self, folder: Path, key: Key | None) -> tuple[list[Kept], str]:
        """A damaged one keeps neither the configuration nor the sermons from being saved."""
        if self.store is None:
            return [], ""
        try:
            image = database.taken(self.store)
        except StepError as error:
            return [], f"; without the monitor's store: {error}"
        kept = written(folder, database.NAME, (image,), key)
        return [kept.model_copy(update={"source": str(self.store)})], ""


@dataclass(frozen=True)
class CheckBackup:
    folder: Path

    def do(self, _: Hands) -> str:
        if found := problems(self.folder):
            raise StepError("; ".join(found))
        return ""


def make_directory(directory: Path) -> None:
    """BACKUP_DIR, where it is not there yet. Raises OSError."""
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(FOLDER_MODE)
        sync(directory.parent)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """Open from before the first byte is written, so that its disk's errors are told at the end. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


class AtWorkError(StepError):
    """Another one is at work."""


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Only one at a time writes or removes contents. Raises AtWorkError."""
    try:
        with exclusive(
            directory / LOCK, f"pid {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        ):
            yield
    except LockHeldError as error:
        raise AtWorkError(f"another backup is at work: {error}") from error


def _former(directory: Path, key: Key | None) -> dict[tuple[str, str], index.Entry]:
    """The objects of the newest backup under the same key whose list is undamaged; else everything is read anew."""
    wrapped = key.wrapped if key else None
    for one in shelf(directory):
        manifest = one.manifest
        if manifest is None or manifest.data is None or manifest.key != wrapped:
            continue
        with suppress(StepError, OSError):  # backup-verify says it
            return {(e.bucket, e.key): e for e in entries(one.folder, manifest, key)}
    return {}


def _data(buckets: tuple[Bucket, ...], found: Fetched) -> Data:
    return Data(
        buckets=buckets,
        objects=len(found.entries),
        bytes=sum(one.bytes for one in found.entries),
        moved_objects=found.moved_objects,
        moved_bytes=found.moved_bytes,
    )


def _words(made: Manifest) -> str:
    own = f"{len(made.files)} files, {size(sum(one.bytes for one in made.files))}"
    if made.data is None:
        return own
    data = made.data
    return (
        f"{own}; {data.objects} objects, {size(data.bytes)}, of which {data.moved_objects} "
        f"({size(data.moved_bytes)}) were read from MinIO in {made.seconds:.1f} s"
    )
