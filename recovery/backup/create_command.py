"""backup-create: what it takes to make this deployment again, and with --with-data the sermons too."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from recovery import inputs
from recovery.backup.create import CheckBackup, CreateBackup
from recovery.backup.files import PROJECT, Source, image_list, sources
from recovery.backup.manifest import Kind
from recovery.backup.objects import Credentials, credentials
from recovery.backup.places import available_bytes, filesystem, leaves_the_machine, writable
from recovery.backup.project import project_files
from recovery.backup.shelf import opens_none
from recovery.backup.status import Tell
from recovery.checks.storage import size
from recovery.deployments import Facts, gather
from recovery.options import changes
from recovery.run import Flags, Session, change
from recovery.settings import RecoverySettings
from recovery.steps import Plan, Step, StepError

name_argument = click.argument(
    "name",
    required=False,
    callback=inputs.matching("letters, digits and ._-, at most 128", inputs.NAME.fullmatch),
)

_BEGINS: Mapping[Kind, str] = {"by_hand": "backup", "daily": "daily", "before": "before"}


@dataclass(frozen=True)
class How:
    """How a backup is made, beside what is in it."""

    kind: Kind = "by_hand"
    passphrase: SecretStr | None = None
    store: Path | None = None
    store_bytes: int = 0
    access: Credentials | None = None
    full: bool = False
    problem: str = ""
    """Why the sermons cannot be had."""
    filesystem: str = ""
    """Of BACKUP_DIR."""
    other_key: bool = False
    """BACKUP_KEY is none of those that the backups there were made with."""
    left_out: tuple[str, ...] = ()
    """Files that the compose files refer to and that cannot be saved."""


@click.command(
    "backup-create", epilog="Example: sermon-recovery backup-create before-update --with-data"
)
@name_argument
@click.option("--with-data", "data", is_flag=True, help="The sermons too: every object of MinIO.")
@click.option(
    "--full",
    is_flag=True,
    help="With --with-data: read every object anew, not only what has changed.",
)
@click.option(
    "--before-change",
    is_flag=True,
    help="Of a change to come: it goes by itself after BACKUP_KEEP_DAILY days.",
)
@changes
def backup_create(
    flags: Flags, name: str | None, data: bool, full: bool, before_change: bool
) -> None:
    """Save the configuration, image digests, the ledger of versions and the monitor's own store.

    Into BACKUP_DIR/NAME, readable by its owner only; encrypted where BACKUP_KEY is set. NAME is the time where
    none is given. With --with-data only what has changed since the last backup is read from MinIO.
    """
    if full and not data:
        raise click.UsageError("--full needs --with-data")
    kind: Kind = "before" if before_change else "by_hand"
    chosen = name or f"{_BEGINS[kind]}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

    def plan(session: Session) -> Plan:
        return plan_for(session, gather(session), chosen, kind, data=data, full=full)

    change("backup-create", flags, plan)


def plan_for(
    session: Session, facts: Facts, name: str, kind: Kind, *, data: bool, full: bool = False
) -> Plan:
    """The plan of one backup, from what is there."""
    settings = session.settings
    images, problem = image_list(session, facts)
    access, data_problem = None, ""
    if data:
        try:
            access = credentials(settings, settings, environment(settings.compose_project_dir))
        except StepError as error:
            data_problem = str(error)
    ours = project_files(settings, facts.containers)
    store = _store(session)
    how = How(
        kind,
        settings.backup_key,
        store,
        store.stat().st_size if store else 0,
        access,
        full,
        data_problem,
        filesystem(settings.backup_dir),
        _other_key(settings),
        ours.left_out,
    )
    room = available_bytes(settings.backup_dir)
    return plan_backup(facts, name, tuple(sources(facts, ours)), images, problem, room, how)


def _other_key(settings: RecoverySettings) -> bool:
    try:
        return opens_none(settings.backup_dir, settings.backup_key)
    except OSError:  # whoever may not see them
        return False


def _store(session: Session) -> Path | None:
    """The store's file, where there is one that may be read."""
    path = session.settings.database_path
    return path if path is not None and os.access(path, os.R_OK) else None


def has_room(session: Session, facts: Facts) -> bool:
    """Whether BACKUP_DIR has room for the configuration and the store."""
    store = _store(session)
    ours = project_files(facts.settings, facts.containers)
    needed = sum(one.bytes for one in sources(facts, ours))
    needed += store.stat().st_size if store else 0
    return needed <= available_bytes(session.settings.backup_dir)


def plan_backup(
    facts: Facts,
    name: str,
    files: Sequence[Source],
    images: Sequence[Mapping[str, Any]],
    images_problem: str,
    available: float,
    how: How = How(),
) -> Plan:
    """Pure, but for the look whether the name is taken."""
    folder = facts.settings.backup_dir / name
    what = "the configuration and the sermons" if how.access or how.problem else "the configuration"
    title = f"save {what} in {folder}"
    if refusal := next(_refusals(facts, folder, files, available, how), ""):
        return Plan(title, refusal=refusal)
    listed = ", ".join(one.name for one in files)
    needed = sum(one.bytes for one in files)
    steps = [
        Step(
            f"copy {len(files)} file{'s' if len(files) > 1 else ''} ({size(needed)}: {listed})"
            f"{', the store' if how.store else ''} and the digests of {len(images)} images"
            f"{_objects_words(how)}",
            CreateBackup(
                folder,
                facts.project.name if facts.project else "",
                tuple(files),
                json.dumps(list(images), indent=2),
                how.kind,
                how.passphrase,
                how.store,
                how.access,
                how.full,
            ),
            undo=f"rm -r {folder}",
        ),
        Step("check every copy against its checksum", CheckBackup(folder)),
        Step("tell the monitor how old it is", Tell(folder.parent)),
    ]
    notes = _notes(facts, images_problem, how)
    return Plan(title, tuple(steps), tuple(notes), done=f"saved in {folder}", asks=False)


def _refusals(
    facts: Facts, folder: Path, files: Sequence[Source], available: float, how: How
) -> Iterator[str]:
    """Each reason why it cannot be made; the first is the one to say."""
    if os.path.lexists(folder):
        yield f"{folder} is there already: choose another name"
    if how.problem:
        yield how.problem
    if not any(one.name.startswith(PROJECT) for one in files):
        yield f"no compose file could be saved: {facts.compose_problem or 'there are none'}"
    if not writable(folder.parent):
        yield f"{folder.parent} may not be written by this user: sudo, or set BACKUP_DIR"
    if leaves_the_machine(how.filesystem) and how.passphrase is None:
        yield (
            f"{folder.parent} is on a disk of another machine ({how.filesystem}), and what is saved there "
            "must be encrypted: set BACKUP_KEY or BACKUP_KEY_FILE"
        )
    needed = sum(one.bytes for one in files) + how.store_bytes
    if needed > available:
        words = f"{size(needed)} are needed and {size(available)} may be taken"
        yield f"the disk of {facts.settings.backup_dir} is too full: {words}"


def _objects_words(how: How) -> str:
    if how.access is None:
        return ""
    changed = "every object" if how.full else "what has changed of the objects"
    return f"; read {changed} from MinIO at {how.access.url}"


def _notes(facts: Facts, images_problem: str, how: How) -> list[str]:
    notes = []
    if how.access is None:
        notes.append("the sermons are not in it: MinIO's data are left where they are")
    if how.passphrase is not None:
        notes.append("it is encrypted: without BACKUP_KEY nobody can restore it, we neither")
    if how.other_key:
        notes.append(
            "BACKUP_KEY is another than that of the backups that are there: a new chain begins, all is read anew, "
            "and the old ones need the old key"
        )
    if facts.compose_problem:
        notes.append(facts.compose_problem)
    notes += [f"not in it: {words}" for words in how.left_out]
    if images_problem:
        notes.append(f"without the images' digests: {images_problem}")
    return notes


def environment(folder: Path) -> str:
    try:
        return (folder / ".env").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
