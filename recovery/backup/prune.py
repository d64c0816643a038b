"""backup-prune: what no rule keeps goes, and then the contents that no backup has any more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import SecretStr

from recovery.backup.blobs import DATA
from recovery.backup.create import alone
from recovery.backup.first import fresh_or_refusal, without_backup
from recovery.backup.places import UNFINISHED
from recovery.backup.reading import nobody_reads
from recovery.backup.retention import Retention, staying
from recovery.backup.sealing import OtherKeyError
from recovery.backup.shelf import Found, age_words, entries, key_to_read, shelf
from recovery.backup.status import Tell
from recovery.checks.storage import size
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.steps import Hands, Plan, Step, StepError
from target.files import sync

OLD_SECONDS = 3600.0
"""A younger one may still be written: only what reads MinIO holds the lock."""
HEAD_START_SECONDS = 86400.0
"""Younger contents may be those of a backup that was not finished, and its next try wants them."""


@click.command("backup-prune", epilog="Example: sermon-recovery backup-prune --dry-run")
@without_backup
@changes
def backup_prune(flags: Flags, without_backup: bool) -> None:
    """Remove old backups: BACKUP_KEEP_DAILY, _WEEKLY and _MONTHLY stay, and all that were made by hand.

    The newest and the newest with the sermons always stay. A damaged one is left for a person to look at.
    """
    change("backup-prune", flags, lambda session: plan_prune(session, told=without_backup))


def plan_prune(session: Session, *, told: bool = False) -> Plan:
    settings = session.settings
    found, now = shelf(settings.backup_dir), datetime.now(UTC)
    keep = Retention(
        settings.backup_keep_daily, settings.backup_keep_weekly, settings.backup_keep_monthly
    )
    reasons = staying([one.manifest for one in found if one.manifest], keep, now)
    going = [one for one in found if one.manifest and one.manifest.name not in reasons]
    notes = [age_words(found, now), *(f"{n} stays: {why}" for n, why in reasons.items())]
    notes += [
        f"{one.folder.name} is left alone: {one.problem}" for one in found if not one.manifest
    ]
    if not going:
        return Plan("no backup is old enough to be removed", notes=tuple(notes))
    title = f"remove {len(going)} of {len(found)} backups"
    if refusal := fresh_or_refusal(session, found, told):
        return Plan(title, refusal=refusal)
    return Plan(
        title,
        (
            *prune_steps(settings.backup_dir, going, settings.backup_key),
            Step("tell the monitor what is left", Tell(settings.backup_dir)),
        ),
        tuple(notes),
        done="only what shall stay is left",
    )


def prune_steps(
    directory: Path, going: Iterable[Found], passphrase: SecretStr | None
) -> Iterator[Step]:
    names = [one.folder.name for one in going]
    yield Step(
        f"remove {', '.join(names)}",
        Remove(directory, tuple(names)),
        loses="these backups",
        undo="none",
    )
    yield Step(
        "remove the contents that no backup has any more",
        RemoveContents(directory, passphrase),
        undo="none",
    )


@dataclass(frozen=True)
class Remove:
    directory: Path
    names: tuple[str, ...]

    def do(self, _: Hands) -> str:
        nobody_reads(self.directory)
        for name in self.names:
            # Its name goes first, in one step: half a backup must not look whole.
            hidden = self.directory / f"{UNFINISHED}{name}"
            (self.directory / name).rename(hidden)
            sync(self.directory)  # its contents go after this step, for good
            shutil.rmtree(hidden)
        return ""


@dataclass(frozen=True)
class RemoveContents:
    directory: Path
    passphrase: SecretStr | None

    def do(self, _: Hands) -> str:
        nobody_reads(self.directory)
        with alone(self.directory):
            try:
                wanted = named(self.directory, self.passphrase)
            except OtherKeyError as error:  # a key was changed: no day's backup fails for it
                return f"no content was removed, for nobody knows which it still needs: {error}"
            found = [path for path in _contents(self.directory) if path.name not in wanted]
            count = sum(path.stat().st_size for path in found)
            for path in found:
                path.unlink()
            for path in _unfinished(self.directory):
                shutil.rmtree(path)
        return f"{len(found)} contents, {size(count)}"


def named(directory: Path, passphrase: SecretStr | None) -> set[str]:
    """Every content that a backup has. Raises StepError where one cannot be asked: then none may go.

    OtherKeyError where that is for want of its key.
    """
    found: set[str] = set()
    for one in shelf(directory):
        if one.manifest is None:
            raise StepError(f"no content was removed, because {one.problem}")
        try:
            if one.manifest.data is not None:
                key = key_to_read(one.folder, one.manifest, passphrase)
                found.update(entry.blob for entry in entries(one.folder, one.manifest, key))
        except OtherKeyError as error:
            raise OtherKeyError(f"{one.folder.name}: {error}") from error
        except (StepError, OSError) as error:
            raise StepError(
                f"no content was removed, because {one.folder.name} cannot be read: {error}"
            ) from error
    return found


def _unfinished(directory: Path) -> list[Path]:
    """What a crash left of a backup that was being made, or removed."""
    old = time.time() - OLD_SECONDS
    return [path for path in directory.glob(f"{UNFINISHED}*") if path.stat().st_mtime < old]


def _contents(directory: Path) -> Iterator[Path]:
    old = time.time() - HEAD_START_SECONDS
    for path in (directory / DATA).glob("??/*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < old:
                yield path
