"""What stands in BACKUP_DIR: backups of ours, the newest first, and what keeps one from being used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from recovery.backup import index
from recovery.backup.blobs import DATA, Blobs
from recovery.backup.manifest import INDEX, MANIFEST, Manifest, check_seal, digest_of, read_manifest
from recovery.backup.sealing import (
    DamagedError,
    Key,
    OtherKeyError,
    Wrapped,
    new_key,
    open_key,
    opened,
)
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
    """The newest first; then what is of the future, and broken ones last. Raises OSError where the directory cannot be seen.

    A time that is still to come is a wrong clock's: such a backup must not stand before all later ones for years.
    """
    now = datetime.now(UTC)
    return sorted(
        (_found(path) for path in _candidates(directory)), key=partial(_rank, now), reverse=True
    )


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
    words = f"the newest backup, {last.name}, is {_old(last, now)}"
    if data is None:
        return f"{words}; none has the sermons in it"
    if data is last:
        return f"{words}, with the sermons"
    return f"{words}; the newest with the sermons, {data.name}, is {_old(data, now)}"


def is_fresh(manifest: Manifest | None, now: datetime, fresh: timedelta) -> bool:
    """A backup of the future is of a wrong clock, and proves nothing."""
    return manifest is not None and timedelta(0) <= now - manifest.created_at <= fresh


def key_to_write(directory: Path, passphrase: SecretStr | None) -> Key | None:
    """The data key of the newest backup that BACKUP_KEY opens, so that contents are shared; else a new one."""
    text = secret(passphrase)
    if not text:
        return None
    found = _keys(directory) if directory.exists() else []
    return _unlocked(found, text) or new_key(text)


def opens_none(directory: Path, passphrase: SecretStr | None) -> bool:
    """Whether there are backups under a key, and BACKUP_KEY is that of none. Raises OSError."""
    text = secret(passphrase)
    if not text:
        return False
    found = _keys(directory)
    return bool(found) and _unlocked(found, text) is None


def _keys(directory: Path) -> list[Wrapped]:
    """Those of the backups, each once, the newest's first."""
    keys = (one.manifest.key for one in shelf(directory) if one.manifest)
    return list(dict.fromkeys(key for key in keys if key is not None))


def _unlocked(keys: Iterable[Wrapped], passphrase: str) -> Key | None:
    """The first that BACKUP_KEY opens."""
    for wrapped in keys:
        with suppress(OtherKeyError):  # made with another BACKUP_KEY
            return open_key(passphrase, wrapped)
    return None


def key_to_read(folder: Path, manifest: Manifest, passphrase: SecretStr | None) -> Key | None:
    """Raises OtherKeyError where it needs a key that is not given or is another, StepError where its manifest was changed."""
    if manifest.key is None:
        return None
    text = secret(passphrase)
    if not text:
        raise OtherKeyError(f"{manifest.name} is encrypted: set BACKUP_KEY or BACKUP_KEY_FILE")
    key = open_key(text, manifest.key)
    check_seal(folder, manifest, key)
    return key


def blobs(directory: Path, key: Key | None) -> Blobs:
    return Blobs(directory / DATA, key)


def entries(folder: Path, manifest: Manifest, key: Key | None) -> Iterator[index.Entry]:
    """The objects of a backup with data. Raises StepError and OSError.

    Nothing of a list that is not as it was written: who goes on from it would take its damage along.
    """
    written = {kept.sha256 for kept in manifest.files if kept.name == INDEX}
    with (folder / INDEX).open("rb") as file:
        if digest_of(file) not in written:
            raise DamagedError(f"{INDEX}: is not what was written")
        file.seek(0)
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


def _rank(now: datetime, one: Found) -> tuple[int, float]:
    if one.manifest is None:
        return 0, 0.0
    made = one.manifest.created_at
    return (2 if made <= now else 1), made.timestamp()


def _old(one: Manifest, now: datetime) -> str:
    age = now - one.created_at
    if age < timedelta(0):
        return f"of {one.created_at:%Y-%m-%d %H:%M} UTC, which is still to come: a clock was or is wrong"
    minutes = timedelta(minutes=int(age.total_seconds() // 60))
    return f"{format_duration(minutes)} old" if minutes else "less than a minute old"
