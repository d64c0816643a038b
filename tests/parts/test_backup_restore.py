"""Backups on a real S3 server: what was saved comes back byte for byte, whatever goes wrong on the way."""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recovery.backup import create
from recovery.backup.objects import ObjectRefusedError, Objects
from recovery.backup.reading import being_read
from recovery.steps import StepError
from tests.parts.backup_kit import ACCESS, COMPOSE, ENV, Place, clear, fill, line, put, seen
from tests.real.processes import run
from tests.real.storage import Storage

KEY = {"BACKUP_KEY": "correct horse battery staple"}
OBJECTS = int(os.environ.get("BACKUP_OBJECTS", "100"))
LARGE_MIB = int(os.environ.get("BACKUP_LARGE_MIB", "20"))
"""`make bench ARGS=backups` does it with 1,000, and 200."""
BUCKET = "sermons"
READABLE = (".status.json", ".lock", ".reading")
"""By everybody, and with nothing secret in it."""


def test_objects_come_back_byte_for_byte(place: Place, storage: Storage) -> None:
    place.extra = KEY
    fill(storage.client, BUCKET, OBJECTS - 1, large=LARGE_MIB << 20)
    before = seen(storage.client, BUCKET)
    assert len(before) == OBJECTS
    first = place.verb("backup-create", "first", "--with-data")
    assert first["outcome"] == "done"

    put(storage.client, BUCKET, "new.wav", b"new")
    put(storage.client, BUCKET, "tilde~", b"changed")
    storage.client.remove_object(BUCKET, "a b.wav")
    second = place.verb("backup-create", "second", "--with-data")
    assert "2 (10 B) were read from MinIO" in second["steps"][0]["result"]

    clear(storage.client)
    shutil.rmtree(place.project)
    shutil.rmtree(place.state)
    restored = place.verb("backup-restore", "first", "--with-data", "--yes")
    assert restored["outcome"] == "done", restored
    assert seen(storage.client, BUCKET) == before
    again = place.verb("backup-restore", "first", "--with-data", "--yes")
    assert "0 written, the others were there" in again["steps"][-1]["result"]
    assert (place.project / "docker-compose.yml").read_text() == COMPOSE
    assert (place.project / ".env").read_text() == ENV
    assert stat.S_IMODE((place.project / ".env").stat().st_mode) == 0o600
    assert place.stored() == 3
    assert place.verb("backup-drill", "--sample", "5")["outcome"] == "done"
    assert [b.name for b in storage.client.list_buckets()] == [BUCKET]
    for path in place.backups.rglob("*"):  # what is encrypted gives nothing away
        if path.is_file():
            content = path.read_bytes()
            assert b"hunter2" not in content, path
            assert b"Rev. A" not in content, path


def test_a_changed_tag_alone_is_saved_too(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 3)
    place.verb("backup-create", "one", "--with-data")
    tags = storage.client.get_object_tags(BUCKET, "a b.wav")
    assert tags is not None
    tags["speaker"] = "another"
    storage.client.set_object_tags(BUCKET, "a b.wav", tags)
    before = seen(storage.client, BUCKET)
    place.verb("backup-create", "two", "--with-data")
    put(storage.client, BUCKET, "a b.wav", b"lost")
    place.verb("backup-restore", "two", "--with-data", "--yes")
    assert seen(storage.client, BUCKET) == before


@pytest.mark.parametrize("extra", [{}, KEY], ids=["plain", "encrypted"])
def test_nothing_is_readable_by_others_at_any_moment(
    extra: dict[str, str], place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watched in a loop, with the worst umask there is."""
    place.extra = extra
    scratch = place.root / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    fill(storage.client, BUCKET, 25)
    done, looks = threading.Event(), 0
    found: set[Path] = set()
    places = (place.backups, place.project, scratch)

    def watch() -> None:
        nonlocal looks
        while not done.is_set():
            looks += 1
            found.update(open_to_others(places))

    before = os.umask(0)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        place.verb("backup-create", "one", "--with-data")
        place.verb("backup-drill")
        (place.project / ".env").write_text("changed\n")
        place.verb("backup-restore", "one", "--with-data", "--yes")
        place.verb("backup-restore", "one", "--to", scratch / "look")
    finally:
        done.set()
        thread.join()
        os.umask(before)
    assert looks > 20
    names = {re.sub(r"^\.(.+)\.[a-z0-9_]{8}$", r"\1", path.name) for path in found}
    assert names <= {"docker-compose.yml", *READABLE}


def open_to_others(places: tuple[Path, ...]) -> Iterator[Path]:
    for top in places:
        for folder, _, names in os.walk(top):
            for path in (Path(folder) / name for name in names):
                try:
                    mode = path.stat().st_mode
                    reachable = all(
                        p.stat().st_mode & 0o001 for p in path.parents if p.is_relative_to(top)
                    )
                except FileNotFoundError:
                    continue
                if mode & 0o077 and reachable:
                    yield path


def test_a_server_that_dies_half_way(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 30, large=8 << 20)
    place.verb("backup-create", "base", "--with-data")
    put(storage.client, BUCKET, "another.wav", os.urandom(6 << 20))
    put(storage.client, BUCKET, "third.wav", os.urandom(64))
    with line(storage, 3 << 20) as cut:
        failed = place.verb(
            "backup-create", "cut", "--with-data", code=1, env={"MINIO_URL": cut.url}
        )
    assert failed["outcome"] == "failed"
    assert "MinIO at http" in failed["words"]
    assert place.whole() == ["base"]
    assert not list((place.backups / ".data").glob("tmp-*"))
    again = place.verb("backup-create", "again", "--with-data")
    assert again["outcome"] == "done"
    clear(storage.client)
    with line(storage, 3 << 20) as cut:
        words = place.verb(
            "backup-restore", "again", "--with-data", "--yes", code=1, env={"MINIO_URL": cut.url}
        )["words"]
    assert "MinIO at http" in words
    done = place.verb("backup-restore", "again", "--with-data", "--yes")
    assert "the others were there" in done["steps"][-1]["result"]
    assert seen(storage.client, BUCKET)["another.wav"][1] == 6 << 20


def test_one_object_that_is_refused_keeps_nobody_from_the_others(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(storage.client, BUCKET, 5)
    before = seen(storage.client, BUCKET)
    place.verb("backup-create", "one", "--with-data")
    clear(storage.client)
    whole = Objects.put

    def put_but(self: Objects, bucket: str, key: str, *rest: Any) -> None:
        if key == "a b.wav":
            raise ObjectRefusedError(f"MinIO refuses to write {bucket}/{key}")
        whole(self, bucket, key, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", put_but)
        words = place.verb("backup-restore", "one", "--with-data", "--yes", code=1)["words"]
    assert "1 of 5 objects could not be put back" in words
    assert f"{BUCKET}/a b.wav" in words
    assert seen(storage.client, BUCKET) == {k: v for k, v in before.items() if k != "a b.wav"}


def test_what_was_read_before_a_crash_is_not_read_again(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(storage.client, BUCKET, 20)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(create.CreateBackup, "_finish", full)
        assert place.verb("backup-create", "x", "--with-data", code=1)["outcome"] == "failed"
        journal = place.backups / ".data" / "journal"
        told = journal.read_bytes().splitlines()
        again = place.verb("backup-create", "x", "--with-data", code=1)
        assert "No space left" in again["words"]
    flipped = base64.b64encode(base64.b64decode(told[0]).replace(b"audio/wav", b"audio/wax"))
    journal.write_bytes(b"\n".join([flipped, *told[1:], told[1][:-9]]))
    again = place.verb("backup-create", "x", "--with-data")
    assert "of which 1 (" in again["steps"][0]["result"], "what the journal has wrong is read anew"
    assert place.whole() == ["x"]
    before = seen(storage.client, BUCKET)
    clear(storage.client)
    place.verb("backup-restore", "x", "--with-data", "--yes")
    assert seen(storage.client, BUCKET) == before


def test_a_full_disk(place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    place.backups.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", place.backups])
    try:
        fill(storage.client, BUCKET, 10)
        place.verb("backup-create", "base", "--with-data")
        put(storage.client, BUCKET, "large.wav", os.urandom(6 << 20))
        refused = place.verb("backup-create", "no", "--with-data", code=1)
        assert "may be taken" in refused["words"]
        monkeypatch.setattr(create, "available_bytes", lambda _: 1e12)
        failed = place.verb("backup-create", "no", "--with-data", code=1)
        assert f"{place.backups}/.data: No space left" in failed["words"]
        assert place.whole() == ["base"]
        assert not list(place.backups.glob(".unfinished-*"))
        assert not list((place.backups / ".data").glob("tmp-*"))
    finally:
        run(["umount", place.backups])


def test_wrong_keys_and_none(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 5)
    place.verb("backup-create", "one", "--with-data", env=KEY)
    (place.project / ".env").write_text("other\n")
    for key, words in (({}, "set BACKUP_KEY"), ({"BACKUP_KEY": "another"}, "is not the key")):
        for verb in (
            ("backup-verify", "one"),
            ("backup-restore", "one", "--yes"),
            ("backup-drill",),
        ):
            said = place.verb(*verb, code=1, env=key)
            assert words in str(said), said
            assert "correct horse" not in str(said)
    assert (place.project / ".env").read_text() == "other\n"
    # Another key begins a chain of its own; the former stays readable with its own.
    (place.project / ".env").write_text(ENV)
    other = place.verb("backup-create", "two", "--with-data", env={"BACKUP_KEY": "another"})
    assert "of which 5" in other["steps"][0]["result"]
    place.verb("backup-verify", "one", env=KEY)
    place.verb("backup-verify", "two", env={"BACKUP_KEY": "another"})


@pytest.mark.parametrize("extra", [{}, KEY], ids=["plain", "encrypted"])
def test_a_flipped_byte_anywhere_is_found_and_nothing_is_restored(
    extra: dict[str, str], place: Place, storage: Storage
) -> None:
    place.extra = extra
    fill(storage.client, BUCKET, 25)
    place.verb("backup-create", "one", "--with-data")
    (place.project / ".env").write_text("as it is\n")
    before = seen(storage.client, BUCKET)
    chance = random.Random(7)
    named = [p for p in (place.backups / "one").rglob("*") if p.is_file()]
    contents = [p for p in (place.backups / ".data").glob("??/*") if p.stat().st_size]
    for path in (*named, *chance.sample(contents, 2)):
        content = path.read_bytes()
        for at in {chance.randrange(len(content))}:
            path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
            found = place.verb("backup-verify", "one", code=1)
            assert found["outcome"] == "not whole", (path, at)
            place.verb("backup-restore", "one", "--with-data", "--yes", code=1)
            assert (place.project / ".env").read_text() == "as it is\n", (path, at)
        path.write_bytes(content[:-1])
        place.verb("backup-verify", "one", code=1)
        path.write_bytes(content)
    place.verb("backup-verify", "one")
    assert seen(storage.client, BUCKET) == before
    # A content that is damaged here is read anew by --full.
    next(iter(contents)).write_bytes(b"")
    place.verb("backup-create", "healed", "--with-data", "--full", env=ACCESS)
    assert set(place.whole()) == {"healed", "one"} | {
        n for n in place.whole() if n.startswith("before-")
    }


def test_prune_keeps_what_the_rules_keep(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 5)
    place.verb("backup-create", "mine", "--with-data")
    for _ in range(3):
        done = place.verb(
            "backup-daily",
            "--without-drill",
            env=dict.fromkeys(("BACKUP_KEEP_WEEKLY", "BACKUP_KEEP_MONTHLY"), "0")
            | {"BACKUP_KEEP_DAILY": "1"},
        )
        assert done["outcome"] == "done", done
    names = place.whole()
    assert len(names) == 2
    assert "mine" in names
    assert place.verb("backup-prune", "--yes")["outcome"] == "nothing"


def test_nothing_is_removed_while_a_restore_reads_it_nor_is_the_drill_left_out(
    place: Place, storage: Storage
) -> None:
    fill(storage.client, BUCKET, 2)
    none = dict.fromkeys(("BACKUP_KEEP_DAILY", "BACKUP_KEEP_WEEKLY", "BACKUP_KEEP_MONTHLY"), "0")
    place.verb("backup-daily", "--without-drill", env=none)
    with being_read(place.backups), being_read(place.backups):
        failed = place.verb("backup-daily", code=1, env=none)
    assert "a restore is at work: pid" in failed["words"]
    assert failed["steps"][-1]["ok"], failed["steps"]
    assert "through MinIO" in failed["steps"][-1]["result"]
    assert len(place.whole()) == 2
    place.verb("backup-prune", "--yes", env=none)
    assert len(place.whole()) == 1


def test_a_daily_backup_tries_to_restore_and_tells(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 5)
    done = place.verb("backup-daily")
    assert done["steps"][-1]["result"].endswith("through MinIO")
    status = (place.backups / ".status.json").read_text()
    assert '"ok": true' in status
    assert stat.S_IMODE((place.backups / ".status.json").stat().st_mode) == 0o644
    for path in (place.backups / ".data").glob("??/*"):
        path.write_bytes(b"")
    place.verb("backup-drill", code=1)
    assert '"ok": false' in (place.backups / ".status.json").read_text()


def test_only_one_at_a_time(place: Place, storage: Storage) -> None:
    fill(storage.client, BUCKET, 1)
    place.backups.mkdir()
    with create.alone(place.backups):
        said = place.verb("backup-create", "x", "--with-data", code=1)
        with pytest.raises(StepError), create.alone(place.backups):
            pass
    assert "another backup is at work: pid" in said["words"]
