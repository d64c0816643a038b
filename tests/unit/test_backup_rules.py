"""What of the backups is pure: which stay, what is sealed, whose disk it is, what is done first."""

from __future__ import annotations

import io
import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.backup.daily import following, still_due
from recovery.backup.drill import remove_old
from recovery.backup.first import decided
from recovery.backup.manifest import Data, Kind, Manifest
from recovery.backup.objects import About, part_bytes
from recovery.backup.places import filesystem_of, leaves_the_machine
from recovery.backup.project import references
from recovery.backup.retention import Retention, staying
from recovery.backup.sealing import FRAME, TAG, DamagedError, Key, new_key, open_key, opened, sealed
from recovery.backup.shelf import is_fresh
from recovery.backup.wire import from_wire, to_wire
from recovery.steps import Plan, StepError

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
KEY = new_key("a passphrase")


def made(name: str, days: float, kind: Kind = "daily", *, data: bool = True) -> Manifest:
    return Manifest(
        name=name,
        created_at=NOW - timedelta(days=days),
        host="pi",
        project="",
        files=(),
        kind=kind,
        data=Data() if data else None,
    )


def test_days_weeks_and_months_keep_their_newest() -> None:
    daily = [made(f"d{n}", n) for n in range(400)]
    stay = staying(daily, Retention(7, 5, 12), NOW)
    assert {f"d{n}" for n in range(7)} <= set(stay)
    assert 7 + 3 + 10 <= len(stay) <= 7 + 5 + 12
    assert stay["d0"] == "the newest"
    assert max(int(name[1:]) for name in stay) > 300


def test_nothing_kept_by_number_still_leaves_the_newest_of_each_kind() -> None:
    backups = [
        made("new", 0, data=False),
        made("data", 3),
        made("old", 9),
        made("mine", 99, "by_hand"),
    ]
    backups += [made("before", 2, "before", data=False)]
    assert set(staying(backups, Retention(0, 0, 0), NOW)) == {"new", "data", "mine"}
    assert set(staying(backups, Retention(3, 0, 0), NOW)) == {
        "new",
        "data",
        "mine",
        "old",
        "before",
    }


def test_what_a_wrong_clock_made_takes_no_others_place() -> None:
    """It stays until its time has come; what is really the newest stays, and so do the days before it."""
    later = [made(f"l{n}", -n) for n in range(100, 120)]
    daily = [made(f"d{n}", n) for n in range(9)]
    stay = staying([*later, *daily], Retention(7, 0, 0), NOW)
    assert set(stay) == {one.name for one in later} | {f"d{n}" for n in range(7)}
    assert stay["d0"] == "the newest"
    assert stay["l100"] == "its time is still to come"


def test_a_month_without_power_loses_no_backup() -> None:
    daily = [made(f"d{n}", n) for n in range(60, 67)]
    assert len(staying(daily, Retention(7, 0, 0), NOW)) == 7


@pytest.mark.parametrize(("age", "fresh"), [(0, True), (1, True), (1.01, False), (-0.1, False)])
def test_what_is_of_the_future_proves_nothing(age: float, fresh: bool) -> None:
    assert is_fresh(made("x", age), NOW, timedelta(days=1)) is fresh


@pytest.mark.parametrize("length", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME])
def test_what_is_sealed_is_opened_again_and_by_no_other_key(length: int) -> None:
    content = random.Random(length).randbytes(length)
    written = b"".join(sealed(KEY, [content]))
    assert b"".join(opened(KEY, io.BytesIO(written))) == content
    with pytest.raises(DamagedError):
        list(opened(new_key("a passphrase"), io.BytesIO(written)))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_damage_to_what_is_sealed_is_taken_for_content(data: st.DataObject) -> None:
    content = b"x" * (2 * FRAME + 5)
    written = b"".join(sealed(KEY, [content]))
    at = data.draw(st.integers(0, len(written) - 1))
    harm = data.draw(st.sampled_from(["flip", "cut", "drop a frame", "more"]))
    frame = 36 + (FRAME + TAG) * (at % 2)
    harmed = {
        "flip": written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :],
        "cut": written[:at],
        "drop a frame": written[:frame] + written[frame + FRAME + TAG :],
        "more": written + b"\0",
    }[harm]
    got = bytearray()
    with pytest.raises(DamagedError):
        collect(got, harmed)
    assert content.startswith(got), "what came before the damage was right"


def collect(got: bytearray, written: bytes) -> None:
    for chunk in opened(KEY, io.BytesIO(written)):
        got += chunk


def test_another_passphrase_is_told_from_damage_and_no_key_is_shown() -> None:
    assert open_key("a passphrase", KEY.wrapped).data == KEY.data
    with pytest.raises(StepError, match="not the key"):
        open_key("another", KEY.wrapped)
    assert KEY.data.hex() not in repr(KEY)
    assert repr(Key(b"secret", KEY.wrapped)) == "Key(…)"


MOUNTS = r"""
22 1 8:1 / / rw - ext4 /dev/root rw
30 22 0:40 / /mnt/nas rw shared:1 - nfs4 nas:/x rw
31 22 0:41 / /mnt/a\040b rw - fuse.sshfs pi@home: rw
"""


@pytest.mark.parametrize(
    ("folder", "filesystem", "away"),
    [
        ("/opt/backups", "ext4", False),
        ("/mnt/nas/backups", "nfs4", True),
        ("/mnt/nasty", "ext4", False),
        ("/mnt/a b/c", "fuse.sshfs", True),
    ],
)
def test_whose_disk_it_is(folder: str, filesystem: str, away: bool) -> None:
    assert filesystem_of(Path(folder), MOUNTS) == filesystem
    assert leaves_the_machine(filesystem) is away


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (None, []),
        ([1], []),
        ({"services": {"a": {"env_file": "x.env"}, "b": None}}, ["x.env"]),
        ({"services": {"a": {"env_file": ["x", {"path": "y"}, {"path": None}, 7]}}}, ["x", "y"]),
        ({"services": {"a": {"extends": "b"}, "b": {"extends": {"file": "z.yml"}}}}, ["z.yml"]),
        ({"include": ["i.yml", {"path": ["j.yml", "k.yml"], "env_file": "l.env"}]}, list("ijkl")),
        ({"secrets": {"s": {"file": "s"}, "t": {"environment": "T"}}, "configs": []}, ["s"]),
    ],
)
def test_what_a_compose_file_refers_to(said: object, found: list[str]) -> None:
    assert [n.split(".")[0] for n in references(said)] == [n.split(".")[0] for n in found]


def test_what_cannot_be_saved_first_holds_only_what_cannot_be_undone() -> None:
    no = Plan("save the configuration in /b/x", refusal="the disk is full")
    assert decided(no, "old", needed=False).refusal == ""
    assert "the disk is full" in " ".join(decided(no, "old", needed=False).notes)
    refusal = decided(no, "the newest is 9 days old", needed=True).refusal
    assert "the newest is 9 days old" in refusal
    assert "--without-backup" in refusal


def clock(text: str) -> datetime:
    return datetime.strptime(text, "%H:%M")  # noqa: DTZ007 - a time of day


@pytest.mark.parametrize(("at", "day"), [("13:00", 26), ("12:00", 27), ("03:30", 27)])
def test_the_next_time(at: str, day: int) -> None:
    assert following(NOW, clock(at)).day == day


@pytest.mark.parametrize(
    ("now", "waits"),
    [(0, True), (-1, True), (-3, False), (-24 * 40, False)],
    ids=["as it was", "autumn", "set back", "a wrong clock at boot"],
)
def test_a_clock_that_is_set_back_is_not_waited_for(now: float, waits: bool) -> None:
    """Autumn's hour alone, as the clock on the wall has it twice, brings no second backup."""
    at = clock("11:59")
    due = following(NOW, at)
    then = NOW + timedelta(hours=now)
    assert still_due(then, due, at) == (due if waits else following(then, at))
    assert still_due(then, due, at) - then <= timedelta(hours=25)


@pytest.mark.parametrize(
    ("etag", "mib", "part"),
    [("", 3, 8), ("-2", 20, 16), ("-3", 20, 8), ("-4", 20, 5), ("-20", 200, 10), ("-7", 20, 8)],
)
def test_an_object_is_written_in_the_parts_that_it_had(etag: str, mib: int, part: int) -> None:
    about = About(mib << 20, f"{'a' * 32}{etag}", "")
    assert part_bytes(about) == part << 20


def test_a_very_large_object_has_no_more_parts_than_s3_takes() -> None:
    assert -(-(5 << 40) // part_bytes(About(5 << 40, "", ""))) <= 10_000


@pytest.mark.parametrize("text", ["", "plain", "Predigt für ☦", "Ã¼"])
def test_a_header_goes_over_the_wire_as_utf_8(text: str) -> None:
    assert to_wire(text).encode("latin-1") == text.encode()
    assert from_wire(to_wire(text)) == text


def test_a_header_that_is_no_utf_8_stays_as_it_is_read() -> None:
    assert from_wire("\xfcber") == "\xfcber"


def test_what_a_killed_drill_left_goes_once_it_is_old(tmp_path: Path) -> None:
    for name, age in (("sermon-drill-old", 7200), ("sermon-drill-young", 60), ("other", 7200)):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".env").write_text("SECRET=x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / "sermon-drill-link").symlink_to(tmp_path / "other")
    remove_old(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"sermon-drill-young", "sermon-drill-link", "other"}
    assert (tmp_path / "other" / ".env").exists()
