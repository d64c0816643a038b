"""backup-drill: a backup is really restored, into a place of its own, and looked at there.

Files go into a hidden directory, the store is opened, and a sample of the objects is written into a bucket
made for it, read back and compared. Nothing of the deployment is touched, and nothing is left behind.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
import yaml

from recovery.backup import database
from recovery.backup.create import AtWorkError, alone
from recovery.backup.create_command import environment, name_argument
from recovery.backup.files import IMAGES, LEDGER, PROJECT
from recovery.backup.index import Entry
from recovery.backup.manifest import Bucket, Kept
from recovery.backup.objects import SCRATCH, Credentials, GoneError, Objects, credentials
from recovery.backup.project import COMPOSE
from recovery.backup.put_back import Files, Opened, Verify, put
from recovery.backup.reading import chosen, seems_newer, stamp
from recovery.backup.shelf import blobs, entries, shelf
from recovery.backup.status import drilled
from recovery.checks.storage import size
from recovery.options import changes
from recovery.run import EXPECTED, Flags, Session, change, words_of
from recovery.steps import Hands, Plan, Step, StepError
from target.yaml_text import compose_yaml

SAMPLE = 20
OLD_SECONDS = 3600.0
"""A younger scratch directory may be that of a drill at work; it needs it for seconds."""


@click.command("backup-drill", epilog="Example: sermon-recovery backup-drill")
@name_argument
@click.option(
    "--sample",
    type=click.IntRange(0, 1_000_000),
    default=SAMPLE,
    show_default=True,
    metavar="N",
    help="How many objects go through MinIO, besides the largest, the smallest and the newest; 0: none.",
)
@changes
def backup_drill(flags: Flags, name: str | None, sample: int) -> None:
    """Prove that a backup can be restored: restore it into a scratch place and look at it there.

    The newest with the sermons where none is named. Every byte is checked; then the files are restored and
    read, the store is opened, and some objects go into a bucket of the drill's own and come back. The outcome
    is what BackupDrillFailed watches.
    """
    change("backup-drill", flags, lambda session: plan_drill(session, name, sample))


def plan_drill(session: Session, name: str | None = None, sample: int = SAMPLE) -> Plan:
    """What keeps a drill from being begun is a drill that failed, unless a person named the backup or there is none."""
    directory = session.settings.backup_dir
    try:
        return _plan(session, name, sample)
    except (StepError, OSError) as error:
        if name is not None or not shelf(directory):
            raise
        step = Step("say that no backup can be tried", Hopeless(directory, words_of(error)))
        return Plan("try to restore the newest backup", (step,), asks=False)


def _plan(session: Session, name: str | None, sample: int) -> Plan:
    settings = session.settings
    folder, manifest, _ = chosen(session, name, data=True)
    backup, access = Opened(folder, manifest, settings.backup_key), None
    if manifest.data is not None and sample:
        access = credentials(settings, settings, environment(settings.compose_project_dir))
    objects = manifest.data.objects if manifest.data else 0
    bucket = f"; then up to {sample + 3} objects in a bucket of its own in MinIO" if access else ""
    step = Step(
        f"restore {len(manifest.files)} files into a scratch directory, check {objects} contents{bucket}",
        Drill(backup, access, sample, () if name else tuple(seems_newer(manifest, folder.parent))),
        undo="nothing is left behind",
    )
    notes = () if access else ("no object goes through MinIO",)
    done = f"{manifest.name} can be restored"
    return Plan(f"try to restore {manifest.name}", (step,), notes, done=done, asks=False)


@dataclass(frozen=True)
class Drill:
    backup: Opened
    access: Credentials | None
    sample: int
    damaged: tuple[str, ...] = ()
    """In words: what cannot be used, and seems to be newer than the one that is tried."""

    def do(self, hands: Hands) -> str:
        directory, name = self.backup.folder.parent, self.backup.manifest.name
        try:
            with alone(directory):
                words = self._tried(hands)
            if self.damaged:
                raise StepError(f"{name} can be restored, but {'; '.join(self.damaged)}")
        except AtWorkError:  # it was not tried: that says nothing of the backup
            raise
        except EXPECTED as error:
            drilled(directory, ok=False, words=words_of(error)[:300], name=name)
            raise
        drilled(directory, ok=True, words=words, name=name)
        return words

    def _tried(self, hands: Hands) -> str:
        Verify(self.backup, data=True).do(hands)
        # Not in BACKUP_DIR: that may be a disk of another machine, and here all is plain.
        remove_old(Path(tempfile.gettempdir()))
        with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:  # 0700
            kept, place = self.backup.manifest.files, Path(scratch)
            Files(self.backup, tuple((one, place / one.name) for one in kept)).do(hands)
            words = [f"{len(kept)} files"] + [w for one in kept if (w := _looked_at(one, place))]
        if self.access:
            words.append(self._through_minio(Objects(self.access)))
        return ", ".join(words)

    def _through_minio(self, objects: Objects) -> str:
        key = self.backup.key()
        contents = blobs(self.backup.folder.parent, key)
        for left in objects.scratch_buckets():  # of a drill that was killed
            objects.remove_bucket(left)
        bucket = f"{SCRATCH}{stamp().lower().replace('.', '-')}"
        objects.make_bucket(Bucket(name=bucket))
        try:
            listed = list(entries(self.backup.folder, self.backup.manifest, key))
            taken = chosen_objects(listed, self.sample)
            for one in taken:
                put(objects, contents, one, bucket, one.key)
                _compare(objects, bucket, one)
                objects.remove(bucket, one.key)
        finally:
            objects.remove_bucket(bucket)
        return f"{len(taken)} objects ({size(sum(e.bytes for e in taken))}) through MinIO"


@dataclass(frozen=True)
class Hopeless:
    """Not even begun: BACKUP_KEY is another, no manifest can be read, MinIO's access is not known."""

    directory: Path
    words: str

    def do(self, _: Hands) -> str:
        drilled(self.directory, ok=False, words=self.words[:300], name="")
        raise StepError(self.words)


def remove_old(folder: Path) -> None:
    """What a drill that was killed left: all of it is plain, and its owner's alone."""
    for path in folder.glob(f"{SCRATCH}*"):
        with suppress(FileNotFoundError):
            status = path.lstat()
            mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if mine and time.time() - status.st_mtime > OLD_SECONDS:
                shutil.rmtree(path)


def chosen_objects(found: Sequence[Entry], sample: int) -> list[Entry]:
    """The largest, the smallest, the newest, and some by chance."""
    if not found:
        return []
    by_size = sorted(found, key=lambda one: one.bytes)
    newest = max(found, key=lambda one: one.modified)
    some = random.sample(list(found), min(sample, len(found)))
    return list({(e.bucket, e.key): e for e in (by_size[-1], by_size[0], newest, *some)}.values())


def _compare(objects: Objects, bucket: str, one: Entry) -> None:
    digest = hashlib.sha256()
    try:
        with objects.content(bucket, one.key) as (about, chunks):
            for chunk in chunks:
                digest.update(chunk)
        tags = objects.tags(bucket, one.key)
    except GoneError as error:
        raise StepError(f"{one.title} was written and is not there") from error
    if digest.hexdigest() != one.sha256:
        raise StepError(f"{one.title} came back with other bytes")
    if (dict(about.headers), tags) != (one.headers, one.tags):
        raise StepError(f"{one.title} came back with other metadata")


def _looked_at(kept: Kept, scratch: Path) -> str:
    """What a restored file is worth, in words; empty where there is nothing to say. Raises StepError."""
    path = scratch / kept.name
    if kept.name == database.NAME:
        return f"a store with {database.look(path.read_bytes())} incidents"
    for fits, check in _CHECKS:
        if fits(kept.name):
            try:
                check(path.read_bytes())
            except (ValueError, RecursionError) as error:
                raise StepError(f"{kept.name} was restored and is of no use: {error}") from error
    return ""


def _compose(content: bytes) -> None:
    if not isinstance(compose_yaml(content), yaml.MappingNode):
        raise StepError("a compose file was restored and is none")


def _json(content: bytes) -> None:
    json.loads(content)


_CHECKS: Iterable[tuple[Callable[[str], bool], Callable[[bytes], None]]] = (
    (lambda name: name in (IMAGES, LEDGER), _json),
    (lambda name: bool(COMPOSE.fullmatch(name.removeprefix(PROJECT))), _compose),
)
