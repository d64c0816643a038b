"""Put a sound store in the place of a damaged one; the damaged one is kept aside, whole.

A crash at any moment leaves the damaged store in its place, or the sound one, and the copy aside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from receiver.store import messages, trouble, windows
from receiver.store.database import MIGRATIONS, connect, migrate
from receiver.store.graft import graft, schema_is_readable
from receiver.store.owner import Owner
from receiver.store.salvage import Salvaged, salvage, version_of
from receiver.store.trouble import StoreError
from target.files import sync

HELD_FOR = timedelta(minutes=30)
"""Nothing is done by itself after rows were lost: what was done lately is not known then."""
WHY_HELD = "the store was repaired and is not whole"


@dataclass(frozen=True)
class Repaired:
    """``aside``: where the damaged file is now. ``copy``: whether there was an older copy to fill up from."""

    aside: Path
    copy: bool
    salvaged: Salvaged


def snapshot_path(path: Path) -> Path:
    """Of the last sound copy; receiver/upkeep.py makes it."""
    return path.with_name(f"{path.stem}.sound{path.suffix}")


def problems(path: Path) -> list[str]:
    """What SQLite finds wrong with the file, at most ten lines; none where it is sound. Raises StoreError."""
    connection = None
    try:
        connection = connect(path, read_only=True)
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)")]
        found += [f"a row of {row[0]} without its {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")]  # fmt: skip
        return [] if found == ["ok"] else found[:10]
    except trouble.TroubleError as error:
        if error.damaged:
            return [str(error)]
        raise
    except sqlite3.Error as error:
        failure = trouble.of_sqlite(path, error)
        if failure.damaged:
            return [str(error)]
        raise failure from error
    finally:
        if connection is not None:
            connection.close()


def repair(path: Path, now: datetime) -> Repaired:
    """Raises StoreError: in use, no room, or not to be written here."""
    owner = Owner(path)
    owner.take()
    try:
        return _repair(path, now)
    except OSError as error:
        raise trouble.of_system(path, error) from error
    except sqlite3.Error as error:
        raise trouble.of_sqlite(path, error) from error
    finally:
        owner.leave()


def _repair(path: Path, now: datetime) -> Repaired:
    aside = path.with_name(f"{path.stem}.damaged-{now:%Y%m%dT%H%M%S.%fZ}{path.suffix}")
    for end in ("", "-wal"):
        if (source := Path(f"{path}{end}")).exists() and (not end or source.stat().st_size):
            _copy(source, Path(f"{aside}{end}"))
    sync(path.parent)
    work = path.with_name(f"{path.name}.work")
    fresh = path.with_name(f"{path.name}.new")
    try:
        for end in ("", "-wal"):  # SQLite writes beside what it reads: never beside the copy aside
            if (source := Path(f"{aside}{end}")).exists():
                shutil.copyfile(source, f"{work}{end}")
        done = _rebuild(fresh, work, snapshot_path(path), now)
        _take_its_place(fresh, path)
    finally:
        for leftover in (work, fresh):
            for end in ("", "-wal", "-shm"):
                Path(f"{leftover}{end}").unlink(missing_ok=True)
    return Repaired(aside, snapshot_path(path).exists(), done)


def _copy(source: Path, to: Path) -> None:
    with source.open("rb") as from_, to.open("xb") as file:
        to.chmod(0o600)
        shutil.copyfileobj(from_, file)
        file.flush()
        os.fsync(file.fileno())


def _rebuild(fresh: Path, work: Path, copy: Path, now: datetime) -> Salvaged:
    for end in ("", "-wal", "-shm"):
        Path(f"{fresh}{end}").unlink(missing_ok=True)
    if copy.exists():
        with contextlib.closing(sqlite3.connect(work)) as looked_at:
            readable = schema_is_readable(looked_at)
        if not readable:
            with contextlib.suppress(sqlite3.Error):  # then all there is comes from the copy
                graft(work, copy)
    with contextlib.ExitStack() as stack:
        damaged = stack.enter_context(contextlib.closing(sqlite3.connect(work)))
        older = (
            stack.enter_context(contextlib.closing(sqlite3.connect(copy)))
            if copy.exists()
            else None
        )
        version = version_of(damaged)
        old_version = version_of(older) if older else 0
        into = stack.enter_context(contextlib.closing(connect(fresh)))
        into.execute("PRAGMA foreign_keys = OFF")
        migrate(into, version or old_version or len(MIGRATIONS))
        into.execute("BEGIN IMMEDIATE")
        fits = old_version == (version or old_version)
        done = salvage(into, damaged, older if fits else None, now)
        into.execute("COMMIT")
        migrate(into)
        into.execute("PRAGMA foreign_keys = ON")
        _note(into, done, version, now)
        into.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return done


def _note(c: sqlite3.Connection, done: Salvaged, version: int, now: datetime) -> None:
    """In the audit trail; and where not everything is known, nothing is done by itself for a while."""
    c.execute("BEGIN IMMEDIATE")
    whole = done.whole and version
    words = "nothing is missing" if whole else "rows are missing or old"
    messages.add_event(c, None, "store repaired", words, now)
    if not whole:
        windows.open_window(c, now, now + HELD_FOR, WHY_HELD, "person", now, who="sermon-monitor")
    c.execute("COMMIT")


def _take_its_place(fresh: Path, path: Path) -> None:
    """The old log must be gone first: SQLite would write it into the new file."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
    sync(path.parent)


__all__ = ["HELD_FOR", "Repaired", "StoreError", "problems", "repair", "snapshot_path"]
