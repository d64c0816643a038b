"""backup-restore: the configuration, the ledger and the store, and with --with-data the sermons, as they were."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from recovery.backup import database
from recovery.backup.create_command import environment, name_argument
from recovery.backup.files import IMAGES, LEDGER, PROJECT, digests
from recovery.backup.first import before, without_backup
from recovery.backup.manifest import Kept, Manifest
from recovery.backup.objects import Credentials, credentials
from recovery.backup.put_back import Files, Opened, PutObjects, Store, Verify
from recovery.backup.reading import chosen, content, passed_over
from recovery.checks.storage import size
from recovery.deployments import Facts, gather
from recovery.ledger import ledger_path
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.steps import Hands, Plan, Step, StepError


@dataclass(frozen=True)
class Wanted:
    """What was asked for."""

    data: bool = False
    store: bool = False
    to: Path | None = None
    without_backup: bool = False


@click.command(
    "backup-restore", epilog="Example: sermon-recovery backup-restore before-update --dry-run"
)
@name_argument
@click.option("--with-data", "data", is_flag=True, help="The sermons too, into MinIO.")
@click.option(
    "--replace-store",
    "store",
    is_flag=True,
    help="The monitor's store also where there is one: its incidents since then are lost.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Only lay the files into this new directory, to look at them.",
)
@without_backup
@changes
def backup_restore(
    flags: Flags, name: str | None, data: bool, store: bool, to: Path | None, without_backup: bool
) -> None:
    """Put back what a backup holds: compose files, .env, ledger and store; with --with-data the sermons.

    The newest where no NAME is given. Everything is checked before anything is changed, and what is there
    now is saved first. Objects that are in MinIO and not in the backup stay. Nothing is started.
    """
    if to and (data or store):
        raise click.UsageError("--to lays out files only")
    wanted = Wanted(data, store, to, without_backup)
    change("backup-restore", flags, lambda session: _plan(session, name, wanted))


def _plan(session: Session, name: str | None, wanted: Wanted) -> Plan:
    folder, manifest, _ = chosen(session, name, data=wanted.data)
    backup = Opened(folder, manifest, session.settings.backup_key)
    title = f"restore {manifest.name}, of {manifest.created_at:%Y-%m-%d %H:%M} UTC"
    if wanted.to:
        return _laid_out(backup, wanted.to, title)
    if wanted.data and manifest.data is None:
        return Plan(
            title,
            refusal=f"{manifest.name} has no sermons in it: leave out --with-data, or see backup-list",
        )
    facts = gather(session)
    steps, notes = [Step(_verify_words(manifest, wanted.data), Verify(backup, wanted.data))], []
    first = before(session, facts, "restore", needed=not wanted.without_backup)
    if first.refusal and any(_there(facts, manifest)):
        return Plan(title, refusal=first.refusal)
    steps += [first.step] if first.step else []
    steps.append(_files_step(session, facts, backup))
    store, words = _store_step(session, backup, wanted)
    steps += store
    if wanted.data:
        steps.append(_objects_step(backup, _access(session, backup)))
    notes += [*first.notes, *words, *_key_notes(backup), *_image_notes(backup)]
    notes += [] if name else passed_over(session.settings.backup_dir)
    done = "restored; next: sermon-recovery restart-services"
    return Plan(title, tuple(steps), tuple(notes), done=done, lock=facts.lock)


def _access(session: Session, backup: Opened) -> Credentials:
    """To MinIO as it is now; where its .env has gone too, as the backup's .env has it. Raises StepError."""
    settings = session.settings
    try:
        return credentials(settings, settings, environment(settings.compose_project_dir))
    except StepError:
        kept = next((k for k in backup.manifest.files if k.name == f"{PROJECT}.env"), None)
        if kept is None:
            raise
        text = content(backup.folder, kept, backup.key()).decode(errors="replace")
        return credentials(settings, settings, text)


def _there(facts: Facts, manifest: Manifest) -> Iterable[bool]:
    """Whether a file is there that the restore would replace: a deployment that is gone has nothing to save."""
    return (
        (facts.settings.compose_project_dir / k.name.removeprefix(PROJECT)).exists()
        for k in _project(manifest)
    )


def _project(manifest: Manifest) -> list[Kept]:
    return [kept for kept in manifest.files if kept.name.startswith(PROJECT)]


def _verify_words(manifest: Manifest, data: bool) -> str:
    objects = ""
    if data and manifest.data:
        objects = f" and {manifest.data.objects} objects ({size(manifest.data.bytes)})"
    return f"check {len(manifest.files)} files{objects} of the backup against their checksums"


def _files_step(session: Session, facts: Facts, backup: Opened) -> Step:
    folder = session.settings.compose_project_dir
    places = [
        (kept, folder / kept.name.removeprefix(PROJECT)) for kept in _project(backup.manifest)
    ]
    ledger = [kept for kept in backup.manifest.files if kept.name == LEDGER]
    places += [(kept, ledger_path(facts.settings)) for kept in ledger]
    listed = ", ".join(str(path) for _, path in places)
    return Step(
        f"put back {len(places)} files: {listed}",
        Files(backup, tuple(places)),
        loses="what these files say now",
        undo="sermon-recovery backup-restore with the backup that was made first",
    )


def _store_step(session: Session, backup: Opened, wanted: Wanted) -> tuple[list[Step], list[str]]:
    kept = next((k for k in backup.manifest.files if k.name == database.NAME), None)
    path = session.settings.database_path
    if kept is None:
        return [], ["the monitor's store is not in this backup"]
    if path is None:
        return [], ["the monitor's store is in PostgreSQL now and stays; the backup's is a file"]
    if database.is_sound(path) and not wanted.store:
        words = f"the monitor's store {path} is there and stays; --replace-store replaces it"
        return [], [words]
    step = Step(
        f"put back the monitor's store: {path}",
        Store(backup, kept, path),
        loses="the incidents since then" if path.exists() else "",
        undo="none" if path.exists() else f"rm {path}",
    )
    words = "stop Sermon Monitor first: what its store said was due then is looked at anew when it starts"
    return [step], [words]


def _objects_step(backup: Opened, access: Credentials) -> Step:
    data = backup.manifest.data
    count, length = (data.objects, data.bytes) if data else (0, 0)
    return Step(
        f"write {count} objects ({size(length)}) into MinIO at {access.url}; those that are there as they were stay",
        PutObjects(backup, access),
        loses="what was written over these objects since then, unless the bucket keeps versions",
        undo="none for the objects",
    )


def _key_notes(backup: Opened) -> list[str]:
    """Without a key the checksums tell of a dying disk and of nobody's hand."""
    if backup.passphrase is None or backup.manifest.key is not None:
        return []
    return [
        "it is not encrypted, though BACKUP_KEY is set: whoever may write BACKUP_DIR may have made it"
    ]


def _image_notes(backup: Opened) -> list[str]:
    """Only a hint: a list that is damaged is found by the first step."""
    kept = next((k for k in backup.manifest.files if k.name == IMAGES), None)
    try:
        rows = json.loads(content(backup.folder, kept, backup.key())) if kept else []
        found = digests(rows)
    except (StepError, OSError, ValueError, AttributeError, RecursionError):
        return []
    return (
        [f"what ran then: {', '.join(found)} (docker pull brings it where it is missing)"]
        if found
        else []
    )


def _laid_out(backup: Opened, to: Path, title: str) -> Plan:
    if to.exists():
        return Plan(title, refusal=f"{to} is there already: name a new directory")
    places = tuple((kept, to / kept.name) for kept in backup.manifest.files)
    private = tuple((kept.model_copy(update={"mode": 0o600}), path) for kept, path in places)
    steps = (
        Step(_verify_words(backup.manifest, False), Verify(backup, data=False)),
        Step(f"lay {len(places)} files into {to}", LayOut(backup, to, private), undo=f"rm -r {to}"),
    )
    return Plan(title, steps, done=f"laid into {to}; nothing else was changed", asks=False)


@dataclass(frozen=True)
class LayOut:
    backup: Opened
    to: Path
    places: tuple[tuple[Kept, Path], ...]

    def do(self, hands: Hands) -> str:
        self.to.mkdir(mode=0o700, parents=True)
        return Files(self.backup, self.places).do(hands)
