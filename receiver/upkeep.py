"""Keeps the store small and sound: forgets what is long over, looks for damage, and keeps a sound copy.

The copy is what ``sermon-monitor store repair`` fills up from when a page of the store cannot be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import structlog

from receiver.clock import Clock
from receiver.rounds import look_for_ever
from receiver.store import retention
from receiver.store.database import Database, connect
from receiver.store.repair import snapshot_path
from target.files import sync

log = structlog.get_logger("store")
FIRST_SECONDS, EVERY_SECONDS = 600.0, 6 * 3600.0
SOON_SECONDS = 30.0
"""Not while everything else starts; then often enough for a copy that is worth something."""
WORTH_BYTES = 8 * 1024 * 1024
"""So much that holds nothing, and half of the file, is given back."""
ROOM_FACTOR = 3
"""A copy is made only where the disk has room for so many."""


class Upkeep:
    """``problem`` says what is wrong with the store's file; empty where it was sound at the last look."""

    def __init__(self, database: Database, keep_for: timedelta, clock: Clock) -> None:
        self._database = database
        self._keep_for = keep_for
        self._clock = clock
        self._copied: tuple[int, ...] = ()
        self.problem = ""

    async def run(self) -> None:
        there = self._database.shared or snapshot_path(self._database.path).exists()
        await asyncio.sleep(FIRST_SECONDS if there else SOON_SECONDS)
        await look_for_ever(self.look, EVERY_SECONDS, log, "the store's upkeep has to wait")

    async def look(self) -> None:
        """Forget, look for damage, copy, give room back. Raises StoreError."""
        before = self._clock.now() - self._keep_for
        gone = 0
        while now_gone := await self._database.run(lambda c: retention.forget(c, before)):
            gone += now_gone
        while await self._database.run(lambda c: retention.forget_the_rest(c, before)):
            pass
        if gone:
            log.info("forgot incidents that ended long ago", count=gone)
        if self._database.shared:
            return  # a server looks after its own files
        self.problem = await asyncio.to_thread(self._examine)
        if self.problem:
            log.error("the store is damaged", problem=self.problem)
            return
        await asyncio.to_thread(self._copy)
        await asyncio.to_thread(self._give_back)

    def _examine(self) -> str:
        with contextlib.closing(connect(self._database.path, read_only=True)) as c:
            try:
                (found,) = c.execute("PRAGMA quick_check(1)").fetchone()
            except sqlite3.Error as error:
                found = str(error)
        mends = "what mends it: sermon-monitor store repair"
        return "" if found == "ok" else f"{self._database.path} is damaged: {found}; {mends}"

    def _copy(self) -> None:
        """Whole or not at all; nothing where nothing has changed, or there is no room."""
        path = self._database.path
        state = _state(path)
        if state == self._copied and snapshot_path(path).exists():
            return
        if shutil.disk_usage(path.parent).free < ROOM_FACTOR * path.stat().st_size:
            log.warning("no room for a copy of the store", path=str(path.parent))
            return
        new = path.with_name(f"{path.name}.copy")
        new.unlink(missing_ok=True)
        try:
            _copy_to(path, new)
            new.replace(snapshot_path(path))
            sync(path.parent)
        except (sqlite3.Error, OSError) as error:
            new.unlink(missing_ok=True)
            log.warning("the store could not be copied", problem=str(error))
        else:
            self._copied = state

    def _give_back(self) -> None:
        """The writer waits meanwhile: a second for some tens of MiB."""
        with contextlib.closing(connect(self._database.path)) as c:
            free, size = retention.slack(c)
            if free < WORTH_BYTES or free < size / 2:
                return
            try:
                c.execute("VACUUM")
                c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:  # a full disk, or somebody reads: another time
                log.warning("the store's file stays as large as it is", problem=str(error))
            else:
                log.info("the store's file is smaller", freed_bytes=free)


def _copy_to(path: Path, new: Path) -> None:
    with (
        contextlib.closing(connect(path, read_only=True)) as source,
        contextlib.closing(sqlite3.connect(new)) as target,
    ):
        new.chmod(0o600)
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
    handle = os.open(new, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _state(path: Path) -> tuple[int, ...]:
    """Another one after each change."""
    found = [Path(f"{path}{end}") for end in ("", "-wal")]
    return tuple(one.stat().st_mtime_ns if one.exists() else 0 for one in found)
