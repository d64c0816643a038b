"""backup-list and backup-verify: what is there, and whether it is still what was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from recovery.backup.create_command import name_argument
from recovery.backup.manifest import Manifest
from recovery.backup.shelf import Found, age_words, is_fresh, key_to_read, newest, shelf
from recovery.backup.verify import everything
from recovery.checks.storage import size
from recovery.finding import Finding, Verdicts
from recovery.options import looks
from recovery.run import Flags, Session, look, session_of, words_of
from recovery.shown import stdout
from recovery.steps import StepError

WHOLE = Verdicts("whole", "not whole")
_KINDS = {"by_hand": "by hand", "daily": "daily", "before": "before a change"}


@click.command(
    "backup-list", epilog="Example: sermon-recovery backup-list --json | jq '.backups[0].name'"
)
@looks
def backup_list(flags: Flags) -> None:
    """List the backups in BACKUP_DIR, the newest first: age, size, what is in each.

    Exit code 1: the directory cannot be read, or a backup in it cannot be used.
    """
    with session_of("backup-list", flags, log=False) as session:
        directory = session.settings.backup_dir
        try:
            found = shelf(directory)
        except OSError as error:
            found, words, bad = [], words_of(error), True
        else:
            words = age_words(found, datetime.now(UTC))
            bad = any(one.manifest is None for one in found)
    if flags.as_json:
        click.echo(json.dumps(_as_json(found, words, bad=bad)))
    else:
        _show(found)
        stdout().print(f"{directory}: {words}", markup=False)
    raise SystemExit(int(bad))


@click.command("backup-verify", epilog="Example: sermon-recovery backup-verify before-update")
@name_argument
@click.option("--all", "all_of_them", is_flag=True, help="Every backup, not only the newest.")
@looks
def backup_verify(flags: Flags, name: str | None, all_of_them: bool) -> None:
    """Read a backup, the newest where none is named, and check every byte against its checksum.

    Exit code 1: something is damaged or missing, or a backup cannot be used at all. Whether it can be
    restored is tried by backup-drill.
    """
    if name and all_of_them:
        raise click.UsageError("--all, or a NAME")
    look("backup-verify", flags, lambda session: list(_checked(session, name, all_of_them)), WHOLE)


def _checked(session: Session, name: str | None, all_of_them: bool) -> Iterator[Finding]:
    directory = session.settings.backup_dir
    try:
        found = shelf(directory)
    except OSError as error:
        yield Finding("problem", "backup", words_of(error), "sudo, or set BACKUP_DIR")
        return
    chosen = [one for one in found if one.folder.name == name] if name else found
    if not chosen:
        words = f"there is no backup {name or ''} in {directory}".replace("  ", " ")
        yield Finding("problem", "backup", words, "sermon-recovery backup-list")
        return
    for one in chosen if all_of_them or name else _newest_and_unusable(chosen):
        yield from _one(session, one)
    last = newest(found)
    if not is_fresh(last, datetime.now(UTC), session.settings.backup_fresh):
        words = age_words(found, datetime.now(UTC))
        yield Finding("warning", "age", words, "sermon-recovery backup-create --with-data")


def _newest_and_unusable(found: list[Found]) -> list[Found]:
    """Of one that cannot be used nobody knows how new it is: it may be the newest."""
    usable = [one for one in found if one.manifest]
    return [*usable[:1], *(one for one in found if not one.manifest)]


def _one(session: Session, one: Found) -> Iterator[Finding]:
    name, manifest = one.folder.name, one.manifest
    if manifest is None:
        yield Finding("problem", name, one.problem, f"look at {one.folder}; it cannot be used")
        return
    try:
        key = key_to_read(one.folder, manifest, session.settings.backup_key)
    except (StepError, OSError) as error:
        yield Finding("problem", name, str(error), "set the BACKUP_KEY that it was made with")
        return
    damage = everything(one.folder, manifest, key, session.terminal.say)
    for words in damage:
        mend = "another backup; sermon-recovery backup-create --with-data --full makes a whole one"
        yield Finding("problem", name, words, mend)
    if not damage:
        yield Finding("ok", name, f"{_contents(manifest)}: every byte is as it was written")


def _contents(manifest: Manifest) -> str:
    files = f"{len(manifest.files)} files"
    if manifest.data is None:
        return f"{files}, {size(manifest.bytes)}"
    return f"{files} and {manifest.data.objects} objects, {size(manifest.bytes)}"


def _show(found: list[Found]) -> None:
    from rich.table import Table  # noqa: PLC0415 - only where it prints

    table = Table(box=None, pad_edge=False)
    for column in ("name", "made", "kind", "holds", "key"):
        table.add_column(column)
    for one in found:
        if (m := one.manifest) is None:
            table.add_row(one.folder.name, "?", "damaged", one.problem, "")
        else:
            made = f"{m.created_at.astimezone():%Y-%m-%d %H:%M}"
            table.add_row(m.name, made, _KINDS[m.kind], _contents(m), "encrypted" if m.key else "")
    if found:
        stdout().print(table, markup=False)


def _as_json(found: list[Found], words: str, *, bad: bool) -> dict[str, Any]:
    outcome = WHOLE.bad if bad else WHOLE.good
    rows = [_row(one) for one in found]
    return {"verb": "backup-list", "outcome": outcome, "words": words, "backups": rows}


def _row(one: Found) -> dict[str, Any]:
    m = one.manifest
    if m is None:
        return {"name": one.folder.name, "problem": one.problem}
    return {
        "name": m.name,
        "created_at": m.created_at.isoformat(),
        "age_seconds": round((datetime.now(UTC) - m.created_at).total_seconds()),
        "kind": m.kind,
        "files": len(m.files),
        "objects": m.data.objects if m.data else None,
        "bytes": m.bytes,
        "moved_bytes": m.data.moved_bytes if m.data else 0,
        "seconds": m.seconds,
        "encrypted": m.key is not None,
        "problem": "",
    }
