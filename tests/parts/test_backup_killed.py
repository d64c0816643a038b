"""SIGKILL and power cuts at any moment: the former backups stand, nothing half looks whole, what is done is done.

The power is cut by a real filesystem that loses what was not brought to the disk.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target import files
from tests.parts.backup_kit import ACCESS, ENV, Place, clear, fill, put, seen
from tests.real.disk import Disk
from tests.real.storage import Storage

KILLS = int(os.environ.get("BACKUP_KILLS", "2"))
"""Of creating and of restoring each, and as many power cuts; `make bench ARGS=backups` does 50."""
BUCKET = "sermons"
KEY = {"BACKUP_KEY": "correct horse battery staple"}
WORK = "import sys; from recovery.cli import main; print('go', flush=True); main()"


@pytest.fixture
def disk(place: Place) -> Iterator[Disk]:
    """BACKUP_DIR on a disk of its own."""
    made = Disk(place.backups)
    made.on()
    try:
        yield made
    finally:
        made.off()


def test_killed_while_it_is_made(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 40)
    place.verb("backup-create", "base", "--with-data")
    whole = 0.0
    for number in range(KILLS):
        put(storage.client, BUCKET, f"more {number}.wav", os.urandom(300_000))
        words = ("backup-create", f"try-{number}", "--with-data")
        whole = whole or took(place, "backup-create", "as-long", "--with-data")
        cut_off(place, number, whole, *words)
        names = place.whole()
        assert {"base", "as-long"} <= set(names)
        assert set(names) <= {"base", "as-long", *(f"try-{n}" for n in range(KILLS))}
    place.verb("backup-create", "last", "--with-data")
    before = seen(storage.client, BUCKET)
    clear(storage.client)
    place.verb("backup-restore", "last", "--with-data", "--yes")
    assert seen(storage.client, BUCKET) == before


def test_killed_while_it_is_restored(place: Place, storage: Storage) -> None:
    """What is typed again names no backup either: what the restore saved first is not taken for it."""
    fill(storage.client, BUCKET, 40)
    before = seen(storage.client, BUCKET)
    place.verb("backup-create", "base", "--with-data")
    again = ("backup-restore", "--with-data", "--yes", "--replace-store")
    place.extra = ACCESS
    whole = 0.0
    for number in range(KILLS + 1):  # the first is not cut off
        now = f"now {number}\n" * 1000
        (place.project / ".env").write_text(now)
        for key in list(before)[number % 4 :: 4]:
            storage.client.remove_object(BUCKET, key)
        if not whole:
            whole = took(place, *again)
            continue
        cut_off(place, number, whole, *again)
        assert (place.project / ".env").read_text() in (now, ENV)
        assert place.stored() == 3
        there = seen(storage.client, BUCKET)
        assert all(before[key] == one for key, one in there.items()), (
            "an object is whole or not there"
        )
        place.verb(*again)
        assert seen(storage.client, BUCKET) == before
        assert (place.project / ".env").read_text() == ENV
    assert "base" in place.whole()


def test_the_power_goes_while_it_is_made(place: Place, storage: Storage, disk: Disk) -> None:
    fill(storage.client, BUCKET, 40)
    place.verb("backup-create", "base", "--with-data")
    whole = took(place, "backup-create", "as-long", "--with-data")
    for number in range(KILLS):
        put(storage.client, BUCKET, f"more {number}.wav", os.urandom(300_000))
        words = ("backup-create", f"try-{number}", "--with-data")
        said = cut_off(place, number, whole, *words, end=disk.cut)
        assert "Traceback" not in said, said
        disk.again()
        assert {"base", "as-long"} <= set(place.whole())
    place.verb("backup-create", "last", "--with-data")
    assert "last" in place.whole()


def test_what_is_said_to_be_done_is_on_the_disk(place: Place, storage: Storage, disk: Disk) -> None:
    """The power is cut as soon as each verb has ended. Nothing is brought to this disk unasked."""
    fill(storage.client, BUCKET, 20)
    place.verb("backup-create", "files")
    disk.cut()
    disk.again()
    assert place.whole() == ["files"]
    for name, extra in (("plain", {}), ("keyed", KEY)):
        place.verb("backup-create", name, "--with-data", env=extra)
        disk.cut()
        disk.again()
        place.verb("backup-verify", name, env=extra)
    for path in (place.backups / ".data").glob("??/*"):
        os.utime(path, (0, 0))  # old enough to go
    none = dict.fromkeys(("BACKUP_KEEP_DAILY", "BACKUP_KEEP_WEEKLY", "BACKUP_KEEP_MONTHLY"), "0")
    for _ in range(2):
        place.verb("backup-daily", "--without-drill", env=KEY | none)
    disk.cut()
    disk.again()
    for name in place.names():
        place.verb("backup-verify", name, env=KEY)


def test_each_is_on_the_disk_before_what_relies_on_it(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order: contents, then their list and the manifest, their directories, the name, its directory."""
    fill(storage.client, BUCKET, 3)
    done: list[tuple[str, str]] = []
    _record(monkeypatch, done, place.backups)
    place.verb("backup-create", "one", "--with-data")
    done = [one for one in done if "status" not in one[1]]
    contents = done.index(("syncfs", ""))
    manifest = done.index(("fsync", "UNFINISHED/manifest.json"))
    folders = [done.index(("fsync", f)) for f in ("UNFINISHED/project", "UNFINISHED")]
    named = done.index(("rename", "UNFINISHED"))
    last = len(done) - 1 - done[::-1].index(("fsync", ""))
    assert all(i < contents for i, (what, _) in enumerate(done) if what == "replace"), done
    assert contents < manifest < min(folders) <= max(folders) < named < last, done
    kept = place.backups / "one"
    files_kept = {f"UNFINISHED/{p.relative_to(kept)}" for p in kept.rglob("*") if p.is_file()}
    assert files_kept <= {path for what, path in done if what == "fsync"}


@pytest.mark.parametrize("extra", [{}, KEY], ids=["plain", "encrypted"])
def test_a_newest_backup_of_zeros_is_found_and_the_one_before_stands(
    extra: dict[str, str], place: Place
) -> None:
    """As a disk leaves it that said it had written and had not."""
    place.extra = extra
    place.verb("backup-create", "before")
    (place.project / ".env").write_text("newer\n")
    place.verb("backup-create", "newest")
    for name in ("manifest.json", "images.json", "project/.env"):
        path = place.backups / "newest" / name
        content = path.read_bytes()
        for wrong in (bytes(len(content)), content[: len(content) // 2], b""):
            path.write_bytes(wrong)
            assert place.verb("backup-verify", code=1)["outcome"] == "not whole", name
            (place.project / ".env").write_text("as it is\n")
            failed = place.verb("backup-restore", "newest", "--yes", code=1)
            assert "newest" in failed["words"]
            assert (place.project / ".env").read_text() == "as it is\n"
        if name != "manifest.json":
            assert failed["words"].partition("The one before it: ")[2].startswith("before")
        path.write_bytes(content)
    (place.backups / "newest" / "manifest.json").write_bytes(b"")
    place.verb("backup-verify", "before")
    restored = place.verb("backup-restore", "--without-backup", "--yes")
    assert "newest is passed over" in str(restored["plan"]["notes"])
    assert (place.project / ".env").read_text() == ENV


def took(place: Place, *words: str) -> float:
    """Seconds of a whole run, so that the moments of the others are spread over all of it."""
    began = time.monotonic()
    with started(place, *words) as process:
        began = time.monotonic()
        process.wait()
    assert process.returncode == 0
    return time.monotonic() - began


def cut_off(
    place: Place, number: int, whole: float, *words: str, end: Callable[[], None] | None = None
) -> str:
    """Run a verb and end it by SIGKILL, or ``end``, at a moment by chance within ``whole`` seconds; what it said."""
    with started(place, *words) as process:
        # The moment is the point of it.
        time.sleep(random.Random(number).uniform(0.0, whole))
        (end or process.kill)()
        _, said = process.communicate(timeout=60)
    return said


def started(place: Place, *words: str) -> subprocess.Popen[str]:
    """A verb in a process of its own, its modules loaded."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, *words],
        env=place.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def _record(monkeypatch: pytest.MonkeyPatch, done: list[tuple[str, str]], backups: Path) -> None:
    """What is brought to the disk, and what gets its name, of what lies in ``backups``."""

    def shown(path: Path) -> str:
        parts = path.relative_to(backups).parts
        return "/".join("UNFINISHED" if p.startswith(".unfinished-") else p for p in parts)

    def recorded(what: str, call: Callable[..., None]) -> Callable[..., None]:
        def act(first: int | str | Path, *rest: object) -> None:
            link = f"/proc/self/fd/{first}"
            path = Path(os.readlink(link) if isinstance(first, int) else first)  # noqa: PTH115
            call(first, *rest)
            if path.is_relative_to(backups):
                done.append((what, "" if path == backups else shown(path)))

        return act

    for name in ("fsync", "replace", "rename"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    syncfs = recorded("syncfs", files.sync_filesystem)
    monkeypatch.setattr("recovery.backup.create.sync_filesystem", syncfs)
