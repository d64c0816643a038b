"""Backups of a bad day: a damaged list, a changed key, a wrong clock, a bucket that goes; and what a drill tells of it."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recovery.backup.create import alone
from recovery.backup.manifest import Bucket, read_manifest
from recovery.backup.objects import Objects
from tests.parts.backup_kit import COMPOSE, Place, clear, fill, seen
from tests.real.storage import Storage

KEY, OTHER = {"BACKUP_KEY": "correct horse battery staple"}, {"BACKUP_KEY": "another one"}
NONE = dict.fromkeys(("BACKUP_KEEP_DAILY", "BACKUP_KEEP_WEEKLY", "BACKUP_KEEP_MONTHLY"), "0")
BUCKET = "sermons"


def test_a_damaged_list_of_objects_is_not_carried_over(place: Place, storage: Storage) -> None:
    """What the next backup knows already it knows from a list that is as it was written, an older one if need be."""
    fill(storage.client, BUCKET, 5)
    before = seen(storage.client, BUCKET)
    for name in ("one", "two"):
        place.verb("backup-create", name, "--with-data")
    lists = [place.backups / name / "objects.jsonl" for name in ("one", "two")]
    lists[1].write_bytes(lists[1].read_bytes().replace(b"audio/wav", b"audio/wax"))
    assert read(place, "three") == 0
    lists[0].unlink()
    (place.backups / "three" / "objects.jsonl").unlink()
    assert read(place, "four") == 5
    clear(storage.client)
    place.verb("backup-restore", "four", "--with-data", "--yes")
    assert seen(storage.client, BUCKET) == before


def read(place: Place, name: str) -> int:
    """How many objects a new backup reads from MinIO."""
    place.verb("backup-create", name, "--with-data")
    data = read_manifest(place.backups / name).data
    assert data is not None
    return data.moved_objects


def test_a_bucket_that_goes_while_it_is_saved(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(storage.client, BUCKET, 2)
    there = Objects.buckets

    def one_more(self: Objects) -> list[Bucket]:
        return [*there(self), Bucket(name="gone-since")]

    monkeypatch.setattr(Objects, "buckets", one_more)
    assert read(place, "one") == 2


def test_what_the_compose_files_refer_to_comes_back_where_it_was(
    place: Place, tmp_path: Path
) -> None:
    """In a subdirectory too, under one name in two of them, and where no docker compose can be asked."""
    files = {
        "prod/docker-compose.yml": COMPOSE_FILES,
        "prod/config/app.vars": "SECRET=in a subdirectory\n",
        "prod/key": "secret\n",
        "docker-compose.yml": COMPOSE,
    }
    for name, text in files.items():
        path = place.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (place.project / "prod" / "config").chmod(0o700)
    place.extra = KEY | {"COMPOSE_FILE": "prod/docker-compose.yml:docker-compose.yml"}
    notes = place.verb("backup-create", "one")["plan"]["notes"]
    assert [n for n in notes if n.startswith("not in it")] == [
        "not in it: /etc/outside.env",
        "not in it: ${WHERE}/x.env",
    ]
    place.verb("backup-drill")
    shutil.rmtree(place.project)
    place.verb("backup-restore", "--yes")
    assert {n: (place.project / n).read_text() for n in files} == files
    assert stat.S_IMODE((place.project / "prod" / "config").stat().st_mode) == 0o700
    place.verb("backup-restore", "--to", tmp_path / "look")
    assert (tmp_path / "look/project/prod/config/app.vars").read_text() == files[
        "prod/config/app.vars"
    ]


COMPOSE_FILES = """
services:
  backend:
    image: sermon-uploader:v1
    env_file:
      - config/app.vars
      - {path: missing.env, required: false}
      - /etc/outside.env
      - ${WHERE}/x.env
    ports: !reset []
  minio: {image: minio, env_file: !override [config/app.vars]}
secrets: {key: {file: ./key}}
"""


def drilled(place: Place) -> Any:
    return json.loads((place.backups / ".status.json").read_text())["drill"]


def test_a_drill_that_cannot_begin_has_failed(place: Place, storage: Storage) -> None:
    """A lost key is what BackupDrillFailed is for; a slip of a person who names a backup, or a backup at work, is not."""
    place.verb("backup-create", "one", "--with-data", env=KEY)
    place.verb("backup-drill", env=KEY)
    place.verb("backup-drill", "no-such", code=1, env=KEY)
    place.verb("backup-drill", "--dry-run", env=OTHER)
    with alone(place.backups):
        assert "at work" in place.verb("backup-drill", code=1, env=KEY)["words"]
    assert drilled(place)["ok"]
    for env, words in (({}, "is encrypted"), (OTHER, "is not the key")):
        place.verb("backup-drill", env=KEY)
        assert words in place.verb("backup-drill", code=1, env=env)["words"]
        assert not drilled(place)["ok"]
        assert words in drilled(place)["words"]


def test_a_drill_does_not_pass_over_a_newest_that_cannot_be_used(
    place: Place, storage: Storage
) -> None:
    for name in ("one", "two"):
        place.verb("backup-create", name, "--with-data")
    manifest = place.backups / "two" / "manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(content[:-9])
    words = place.verb("backup-drill", code=1)["words"]
    assert "one can be restored, but two, which seems to be newer, cannot be used" in words
    assert not drilled(place)["ok"]
    manifest.write_bytes(content)
    (place.backups / "one" / "manifest.json").write_bytes(b"{}")
    place.verb("backup-drill")
    assert drilled(place)["ok"], "an older one is nothing to it"
    manifest.write_bytes(b"{}")
    assert "two is passed over" in place.verb("backup-drill", code=1)["words"]
    assert not drilled(place)["ok"]


def test_another_key_fails_no_daily_backup(place: Place, storage: Storage) -> None:
    """Whose contents are whose only the old key tells: nothing goes, and the words say for whose sake."""
    place.verb("backup-create", "mine", "--with-data", env=KEY)
    for again in (False, True):
        done = place.verb("backup-daily", "--without-drill", env=OTHER | NONE)
        assert ("a new chain begins" in str(done["plan"]["notes"])) != again
    assert "no content was removed" in done["steps"][-1]["result"]
    assert "mine: BACKUP_KEY is not the key" in done["steps"][-1]["result"]
    place.verb("backup-verify", "mine", env=KEY)


def test_a_damaged_store_keeps_nothing_else_from_being_saved(
    place: Place, storage: Storage
) -> None:
    place.store.write_bytes(b"no database" * 99)
    done = place.verb("backup-create", "one", "--with-data")
    assert "; without the monitor's store: " in done["steps"][0]["result"]
    assert "file is not a database" in done["steps"][0]["result"]
    place.verb("backup-drill")
    notes = place.verb("backup-restore", "--with-data", "--dry-run")["plan"]["notes"]
    assert "the monitor's store is not in this backup" in notes


def test_a_backup_without_a_key_is_noted_where_there_is_one(place: Place) -> None:
    place.verb("backup-create", "one")
    words = "whoever may write BACKUP_DIR may have made it"
    assert words not in str(place.verb("backup-restore", "--dry-run"))
    assert words in str(place.verb("backup-restore", "--dry-run", env=KEY)["plan"]["notes"])


def test_a_backup_of_the_future_hides_no_later_one(place: Place, storage: Storage) -> None:
    """A clock was wrong, and was set right: what is made since then is the newest, and what is too old goes."""
    place.verb("backup-daily", "--without-drill")
    [wrong] = place.names()
    place.dated(wrong, datetime(2050, 1, 1, tzinfo=UTC))
    assert "2050-01-01 00:00 UTC, which is still to come" in place.verb("backup-list")["words"]
    for _ in range(2):
        place.verb("backup-daily", "--without-drill", env=NONE)
    newest, last = place.names()
    assert last == wrong
    assert newest in place.verb("backup-restore", "--dry-run")["plan"]["title"]
    status = json.loads((place.backups / ".status.json").read_text())
    assert status["newest_with_data"]["name"] == newest


def test_a_daily_backup_that_may_remove_nothing_says_so(
    place: Place, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.verb("backup-daily", "--without-drill", env=NONE)
    monkeypatch.setattr("recovery.backup.prune.fresh_or_refusal", lambda *_: "no fresh one")
    failed = place.verb("backup-daily", "--without-drill", env=NONE, code=1)
    assert "no fresh one" in failed["words"]
    assert len(place.names()) == 2
