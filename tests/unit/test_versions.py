"""The version ledger's decisions, and the file that keeps it."""

from __future__ import annotations

import fcntl
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from target.engine import Image
from target.version_keeper import LedgerFile
from target.versions import (
    MOST_RELEASES,
    Facts,
    Ledger,
    condemn,
    deployments,
    facts_of,
    judge,
    known_good,
    known_good_tag,
    last_known_good,
    observe,
    repository_of,
    running,
    tag_of,
)

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
GOOD_AFTER = timedelta(minutes=15)
APP = "backend"


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def facts(name: str, **changes: Any) -> Facts:
    plain = Facts(
        image=f"app:{name}", image_id=f"sha256:{name}", tag=name, revision=f"{name}{name}"
    )
    return replace(plain, **changes)


def proved(ledger: Ledger, name: str, minute: float, **changes: str) -> Ledger:
    """``name`` is deployed at ``minute`` and proves good."""
    ledger = observe(ledger, APP, facts(name, **changes), at(minute))
    ledger = judge(ledger, APP, True, at(minute), GOOD_AFTER)
    return judge(ledger, APP, True, at(minute + 15), GOOD_AFTER)


def test_the_first_image_is_found_not_deployed() -> None:
    ledger = observe(Ledger(), APP, facts("v1"), at(0))
    release = running(ledger, APP)
    assert release is not None
    assert (release.image_id, release.since, release.until) == ("sha256:v1", at(0), None)
    assert release.verdict == "unknown"
    assert deployments(ledger) == ()


def test_a_recreated_container_of_the_same_image_is_no_deployment() -> None:
    ledger = observe(Ledger(), APP, facts("v1"), at(0))
    assert observe(ledger, APP, facts("v1", image="app@sha256:other-name"), at(5)) is ledger


def test_another_image_closes_the_former() -> None:
    ledger = observe(observe(Ledger(), APP, facts("v1"), at(0)), APP, facts("v2"), at(5))
    assert [(r.tag, r.since, r.until) for r in ledger.releases] == [
        ("v1", at(0), at(5)),
        ("v2", at(5), None),
    ]
    assert [r.tag for r in deployments(ledger)] == ["v2"]
    assert [r.tag for r in deployments(ledger, "other")] == []


def test_services_do_not_mix() -> None:
    ledger = observe(Ledger(), APP, facts("v1"), at(0))
    ledger = observe(ledger, "frontend", facts("f1"), at(1))
    assert running(ledger, APP) == ledger.releases[0]
    assert deployments(ledger) == ()


def test_a_clock_set_back_ends_no_release_before_it_began() -> None:
    ledger = observe(observe(Ledger(), APP, facts("v1"), at(10)), APP, facts("v2"), at(0))
    assert ledger.releases[0].until == at(10)


@pytest.mark.parametrize(
    ("ticks", "verdict"),
    [
        ([(0, True), (14.9, True)], "unknown"),
        ([(0, True), (15, True)], "good"),
        ([(0, False), (15, True)], "unknown"),
        ([(0, True), (10, False), (15, True), (29, True)], "unknown"),
        ([(0, True), (10, False), (15, True), (30, True)], "good"),
        ([(0, True), (15, True), (16, False)], "good"),
        ([(10, True), (0, True), (14, True)], "unknown"),
    ],
    ids=[
        "too short",
        "long enough",
        "not well yet",
        "a dip",
        "after a dip",
        "stays good",
        "clock back",
    ],
)
def test_a_release_is_good_after_unbroken_health(
    ticks: list[tuple[float, bool]], verdict: str
) -> None:
    ledger = observe(Ledger(), APP, facts("v1"), at(0))
    for minute, healthy in ticks:
        ledger = judge(ledger, APP, healthy, at(minute), GOOD_AFTER)
    assert ledger.releases[0].verdict == verdict


def test_judging_nothing_changes_nothing() -> None:
    assert judge(Ledger(), APP, True, at(0), GOOD_AFTER) == Ledger()
    ledger = proved(Ledger(), "v1", 0)
    assert judge(ledger, APP, True, at(99), GOOD_AFTER) is ledger


def test_the_last_known_good_is_the_newest_other_one() -> None:
    ledger = proved(proved(Ledger(), "v1", 0), "v2", 30)
    ledger = observe(ledger, APP, facts("v3"), at(60))
    found = last_known_good(ledger, APP, "sha256:v3")
    assert found is not None
    assert found.tag == "v2"
    other = last_known_good(ledger, APP, "sha256:v2")
    assert other is not None
    assert other.tag == "v1"
    assert last_known_good(ledger, "frontend", "") is None


@pytest.mark.parametrize(
    "same", [{"revision": "v1v1"}, {"digest": "app@sha256:d"}], ids=["revision", "digest"]
)
def test_a_rebuild_of_the_running_version_cures_nothing(same: dict[str, str]) -> None:
    ledger = proved(Ledger(), "v1", 0, digest="app@sha256:d")
    ledger = observe(ledger, APP, facts("v2", **same), at(30))
    assert last_known_good(ledger, APP, "sha256:v2") is None


def test_a_condemned_image_is_no_way_back_until_it_proves_good_again() -> None:
    ledger = proved(proved(Ledger(), "v1", 0), "v2", 30)
    ledger = observe(condemn(ledger, APP, "sha256:v2"), APP, facts("v1"), at(60))
    assert last_known_good(ledger, APP, "sha256:v1") is None
    assert [r.tag for r in known_good(ledger, APP)] == ["v1"]
    again = observe(proved(ledger, "v2", 70), APP, facts("v3"), at(90))
    found = last_known_good(again, APP, "sha256:v3")
    assert found is not None
    assert found.tag == "v2"


def test_condemning_what_is_unknown_changes_nothing() -> None:
    ledger = proved(Ledger(), "v1", 0)
    assert condemn(ledger, APP, "sha256:v9") is ledger


def test_a_full_ledger_forgets_the_oldest_but_no_way_back() -> None:
    ledger = proved(Ledger(), "v0", 0)
    for number in range(1, MOST_RELEASES + 10):
        ledger = observe(ledger, APP, facts(f"x{number}"), at(60 + number))
    assert len(ledger.releases) == MOST_RELEASES
    assert ledger.forgotten == 10
    found = last_known_good(ledger, APP, "")
    assert found is not None
    assert found.tag == "v0"


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("app", "app", ""),
        ("app:v1", "app", "v1"),
        ("host:5000/a/app", "host:5000/a/app", ""),
        ("host:5000/a/app:v1", "host:5000/a/app", "v1"),
        ("ghcr.io/a/app@sha256:" + "0" * 64, "ghcr.io/a/app", ""),
        ("sha256:" + "0" * 64, "", ""),
        ("0" * 64, "", ""),
    ],
)
def test_references_are_taken_apart(reference: str, repository: str, tag: str) -> None:
    assert (repository_of(reference), tag_of(reference)) == (repository, tag)


def test_facts_prefer_the_apps_own_repository_and_leave_out_our_tags() -> None:
    image = Image(
        id="sha256:1",
        tags=("sermon-monitor/known-good:app-1", "hub/app:pi5"),
        digests=("mirror/app@sha256:a", "hub/app@sha256:b"),
        revision="abc",
        version="1.0",
    )
    assert facts_of("hub/app:master-abc1234", image).tag == "master-abc1234"
    found = facts_of("hub/app@sha256:b", image)
    assert (found.digest, found.tag) == ("hub/app@sha256:b", "pi5")
    assert facts_of("sermon-monitor/known-good:app-1", image).tag == "pi5"


@pytest.mark.parametrize("service", ["backend", "Sermon Uploader/α", "..", "x" * 200])
def test_every_service_gives_a_valid_tag(service: str) -> None:
    tag = known_good_tag(service, "sha256:" + "ab" * 32)
    assert len(tag) <= 128
    assert tag.endswith("-abababababab")
    assert tag[0] not in ".-"
    assert all(letter.isalnum() or letter in "_.-" for letter in tag)


def test_the_file_gives_back_what_it_was_given(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "state" / "versions.json")
    ledger = proved(proved(Ledger(), "v1", 0), "v2", 30)
    file.save(ledger)
    assert file.load() == ledger
    assert file.path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in file.path.parent.iterdir()] == ["versions.json"]


def test_no_file_is_an_empty_ledger(tmp_path: Path) -> None:
    assert LedgerFile(tmp_path / "versions.json").load() == Ledger()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"schema": 0}',
        b'{"releases": [{"service": "a"}]}',
        b'{"releases": [{"service":"a","image":"i","image_id":"x","digest":"","tag":"","revision":"",'
        b'"version":"","since":"2026-03-01T10:00:00"}]}',
    ],
    ids=["empty", "cut off", "a list", "binary", "older", "incomplete", "no time zone"],
)
def test_a_broken_file_is_kept_aside_and_said(tmp_path: Path, content: bytes) -> None:
    said: list[str] = []
    file = LedgerFile(tmp_path / "versions.json", said.append)
    file.path.write_bytes(content)
    assert file.load() == Ledger()
    (aside,) = tmp_path.glob("versions.json.broken-*")
    assert aside.read_bytes() == content
    assert len(said) == 1
    assert str(aside) in said[0]


@pytest.mark.parametrize(
    "content", [b'{"schema": 2}', b'{"schema": 2, "releases": {"in": "another form"}}']
)
def test_what_a_newer_release_wrote_is_left_alone(tmp_path: Path, content: bytes) -> None:
    file = LedgerFile(tmp_path / "versions.json")
    file.path.write_bytes(content)
    for use in (file.load, file.read, lambda: file.update(lambda ledger: ledger)):
        with pytest.raises(OSError, match="a newer release wrote it: schema 2") as caught:
            use()
        assert caught.value.filename == str(file.path)
    assert file.path.read_bytes() == content
    assert not list(tmp_path.glob("*.broken-*"))


def test_a_file_mended_before_we_had_the_lock_is_not_set_aside(tmp_path: Path) -> None:
    """Another process holds the lock, replaces the broken file, and lets go."""
    said: list[str] = []
    file = LedgerFile(tmp_path / "versions.json", said.append)
    file.path.write_bytes(b"{")
    good = proved(Ledger(), "v1", 0)
    found: list[Ledger] = []
    lock = (tmp_path / "versions.json.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        loading = threading.Thread(target=lambda: found.append(file.load()))
        loading.start()
        LedgerFile(file.path).save(good)
    loading.join()
    assert found == [good]
    assert said == []


def test_reading_changes_nothing(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "versions.json")
    file.path.write_bytes(b"{")
    ledger, problem = file.read()
    assert ledger == Ledger()
    assert problem is not None
    assert [entry.name for entry in tmp_path.iterdir()] == ["versions.json"]


def test_an_update_without_a_change_does_not_write(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "versions.json")
    file.update(lambda ledger: observe(ledger, APP, facts("v1"), at(0)))
    before = file.signature()
    file.update(lambda ledger: ledger)
    assert file.signature() == before
    assert json.loads(file.path.read_text())["releases"][0]["tag"] == "v1"
