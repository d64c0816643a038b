"""What stands in BACKUP_DIR: backups of ours, the newest first, and what keeps one from being used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from recovery.backup import index
from recovery.backup.blobs import DATA, Blobs
from recovery.backup.manifest import INDEX, MANIFEST, Manifest, check_seal, read_manifest
from recovery.backup.sealing import Key, new_key, open_key, opened
from recovery.steps import StepError
from target.durations import format_duration
from target.settings import secret

LOCK = ".lock"
"""Held by whoever writes or removes contents."""


@dataclass(frozen=True)
class Found:
    """A directory with a manifest in it; ``manifest`` is None where that cannot be used."""

    folder: Path
    manifest: Manifest | None
    problem: str = ""


def shelf(directory: Path) -> list[Found]:
    """The newest first, broken ones last. Raises OSError where the directory cannot be seen."""
    found = [_found(path) for path in _candidates(directory)]
    return sorted(found, key=_age, reverse=True)


def newest(found: Iterable[Found], *, data: bool = False) -> Manifest | None:
    """The newest whole backup; with ``data`` the newest that has the sermons."""
    whole = (one.manifest for one in found if one.manifest)
    return next((m for m in whole if not data or m.data is not None), None)


def age_words(found: Iterable[Found], now: datetime) -> str:
    """How old the newest backup is, for a plan."""
    all_found = list(found)
    last, data = newest(all_found), newest(all_found, data=True)
    if last is None:
        return "there is no backup yet"
    words = f"the newest backup, {last.name}, is {_old(now - last.created_at)} old"
    if data is None:
        return f"{words}; none has the sermons in it"
    if data is last:
        return f"{words}, with the sermons"
    return f"{words}; the newest with the sermons, {data.name}, {_old(now - data.created_at)}"


def is_fresh(manifest: Manifest | None, now: datetime, fresh: timedelta) -> bool:
    """A backup of the future is of a wrong clock, and proves nothing."""
    return manifest is not None and timedelta(0) <= now - manifest.created_at <= fresh


def key_to_write(directory: Path, passphrase: SecretStr | None) -> Key | None:
    """The data key of the newest backup that BACKUP_KEY opens, so that contents are shared; else a new one."""
    text = secret(passphrase)
    if not text:
        return None
    tried = set()
    for one in shelf(directory) if directory.exists() else ():
        wrapped = one.manifest.key if one.manifest else None
        if wrapped is not None and wrapped not in tried:
            tried.add(wrapped)
            try:
                return open_key(text, wrapped)
            except StepError:
                continue  # made with another BACKUP_KEY
    return new_key(text)


def key_to_read(folder: Path, manifest: Manifest, passphrase: SecretStr | None) -> Key | None:
    """Raises StepError where it needs a key that is not given or is another, or its manifest was changed."""
    if manifest.key is None:
        return None
    text = secret(passphrase)
    if not text:
        raise StepError(f"{manifest.name} is encrypted: set BACKUP_KEY or BACKUP_KEY_FILE")
    key = open_key(text, manifest.key)
    check_seal(folder, manifest, key)
    return key


def blobs(directory: Path, key: Key | None) -> Blobs:
    return Blobs(directory / DATA, key)


def entries(folder: Path, key: Key | None) -> Iterator[index.Entry]:
    """The objects of a backup with data. Raises StepError and OSError."""
    with (folder / INDEX).open("rb") as file:
        yield from index.parsed(opened(key, file))


def _candidates(directory: Path) -> Iterator[Path]:
    try:
        folders = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in folders:
        if not path.name.startswith(".") and (path / MANIFEST).is_file():
            yield path


def _found(folder: Path) -> Found:
    try:
        return Found(folder, read_manifest(folder))
    except StepError as error:
        return Found(folder, None, str(error))


def _age(one: Found) -> float:
    return one.manifest.created_at.timestamp() if one.manifest else float("-inf")


def _old(age: timedelta) -> str:
    minutes = timedelta(minutes=max(0, int(age.total_seconds() // 60)))
    return format_duration(minutes) if minutes else "less than a minute"
