"""SIGKILL at any moment of creating and of restoring: the former backups stand, nothing half looks whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping

from tests.parts.backup_kit import ACCESS, ENV, Place, clear, fill, put, seen
from tests.real.storage import Storage

KILLS = int(os.environ.get("BACKUP_KILLS", "3"))
"""Of creating and of restoring each; `make bench ARGS=backups` does 50."""
BUCKET = "sermons"


def test_killed_while_it_is_made(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 40)
    place.verb("backup-create", "base", "--with-data")
    for number in range(KILLS):
        put(storage.client, BUCKET, f"more {number}.wav", os.urandom(300_000))
        killed(place, number, "backup-create", f"try-{number}", "--with-data", env={})
        names = place.whole()
        assert "base" in names
        assert set(names) <= {"base", *(f"try-{n}" for n in range(KILLS))}
    place.verb("backup-create", "last", "--with-data")
    before = seen(storage.client, BUCKET)
    clear(storage.client)
    place.verb("backup-restore", "last", "--with-data", "--yes")
    assert seen(storage.client, BUCKET) == before


def test_killed_while_it_is_restored(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 40)
    before = seen(storage.client, BUCKET)
    place.verb("backup-create", "base", "--with-data")
    for number in range(KILLS):
        now = f"now {number}\n" * 1000
        (place.project / ".env").write_text(now)
        for key in list(before)[number % 4 :: 4]:
            storage.client.remove_object(BUCKET, key)
        killed(
            place,
            number,
            "backup-restore",
            "base",
            "--with-data",
            "--yes",
            "--replace-store",
            env=ACCESS,
        )
        assert (place.project / ".env").read_text() in (now, ENV)
        assert place.stored() == 3
        there = seen(storage.client, BUCKET)
        assert all(before[key] == one for key, one in there.items()), (
            "an object is whole or not there"
        )
        place.verb("backup-restore", "base", "--with-data", "--yes", env=ACCESS)
        assert seen(storage.client, BUCKET) == before
        assert (place.project / ".env").read_text() == ENV
    assert "base" in place.whole()


def killed(place: Place, number: int, *words: str, env: Mapping[str, str]) -> None:
    """Run a verb and end it by SIGKILL at a moment of its own: some before the first step, some at the last."""
    script = "import sys; from recovery.cli import main; print('go', flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words],
        env=place.env | dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    with process.stdout:
        process.stdout.readline()
        time.sleep(random.Random(number).uniform(0.0, 1.6))  # the moment is the point of it
        process.kill()
        process.wait()
