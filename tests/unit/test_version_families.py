"""The version ledger and images as samples."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter.exposition import render
from exporter.version_families import (
    FAMILIES,
    backup_samples,
    backup_status_samples,
    image_samples,
    ledger_samples,
    tag_samples,
)
from target.backups import Drill, Made, Status
from target.engine import Container, Image
from target.versions import Facts, Ledger, Release, condemn, judge, observe
from tests.parts.exporter_kit import Samples, samples_of

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
HOSTILE = 'v"1\\\n\udcff'


def told(samples: object) -> Samples:
    return samples_of(render(samples, "")[0].decode())  # type: ignore[arg-type]


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def facts(number: int) -> Facts:
    image_id = "sha256:" + f"{number}" * 64
    return Facts(f"app:{number}", image_id, f"ghcr.io/x/app@{image_id}", revision=f"{number}" * 40)


def proved(ledger: Ledger, number: int, since: float) -> Ledger:
    """The version takes over at ``since``, is well 20 s later, and stays so for a quarter of an hour."""
    ledger = observe(ledger, "app", facts(number), at(since))
    ledger = judge(ledger, "app", True, at(since + 20), QUARTER)
    return judge(ledger, "app", True, at(since + 20) + QUARTER, QUARTER)


def test_an_empty_ledger_counts_from_zero() -> None:
    assert told(ledger_samples(Ledger(), {"app"})) == {("sermon_uploader_deployments_total",): 0}


def test_a_ledger_of_others_counts_nothing() -> None:
    ledger = observe(Ledger(), "other", facts(1), BEGAN)
    assert told(ledger_samples(ledger, {"app"})) == {}


def test_the_first_version_was_found() -> None:
    ledger = observe(Ledger(), "app", facts(1), BEGAN)
    assert told(ledger_samples(ledger, {"app"})) == {
        ("sermon_uploader_deployments_total",): 0,
        ("sermon_uploader_running_version_start_time_seconds", "app"): BEGAN.timestamp(),
        ("sermon_uploader_running_version_good", "app"): 0,
    }


def test_a_deployment_from_its_beginning_to_its_proof() -> None:
    ledger = observe(proved(Ledger(), 1, 0), "app", facts(2), at(5000))
    samples = told(ledger_samples(ledger, {"app"}))
    back = ("sermon_uploader_known_good_info", facts(1).digest, "app:1", "1" * 40, "app")
    assert samples == {
        ("sermon_uploader_deployments_total",): 1,
        ("sermon_uploader_last_deployment_timestamp_seconds",): at(5000).timestamp(),
        ("sermon_uploader_running_version_start_time_seconds", "app"): at(5000).timestamp(),
        ("sermon_uploader_running_version_good", "app"): 0,
        back: 1,
    }
    took = ("sermon_uploader_last_deployment_duration_seconds",)
    ledger = judge(ledger, "app", True, at(5030), QUARTER)
    assert told(ledger_samples(ledger, {"app"}))[took] == 30
    ledger = judge(ledger, "app", False, at(5040), QUARTER)
    assert took not in told(ledger_samples(ledger, {"app"}))
    ledger = judge(ledger, "app", True, at(5090), QUARTER)
    ledger = judge(ledger, "app", True, at(5090) + QUARTER, QUARTER)
    samples = told(ledger_samples(ledger, {"app"}))
    assert samples[took] == 90
    assert samples["sermon_uploader_running_version_good", "app"] == 1
    assert samples[back] == 1


def test_what_a_rollback_left_is_not_good_and_no_way_back() -> None:
    ledger = proved(proved(Ledger(), 1, 0), 2, 5000)
    ledger = condemn(ledger, "app", facts(2).image_id)
    assert told(ledger_samples(ledger, {"app"}))["sermon_uploader_running_version_good", "app"] == 0
    ledger = observe(ledger, "app", facts(1), at(9000))
    samples = told(ledger_samples(ledger, {"app"}))
    assert not [key for key in samples if key[0] == "sermon_uploader_known_good_info"]


def test_a_clock_that_went_back_makes_no_negative_time() -> None:
    ledger = observe(proved(Ledger(), 1, 0), "app", facts(2), at(5000))
    ledger = judge(ledger, "app", True, at(-5000), QUARTER)
    assert told(ledger_samples(ledger, {"app"}))["sermon_uploader_last_deployment_duration_seconds",] == 0  # fmt: skip


def test_forgotten_deployments_are_counted() -> None:
    ledger = replace(proved(Ledger(), 1, 0), forgotten=7)
    assert told(ledger_samples(ledger, {"app"}))["sermon_uploader_deployments_total",] == 8


def container(number: int, image: str) -> Container:
    return Container(
        id=f"{number}" * 64,
        name="app",
        image=image,
        image_id=f"sha256:{number}",
        state="running",
        health=None,
        exit_code=0,
        oom_killed=False,
        restart_count=0,
        pid=1,
        created_at=BEGAN,
        started_at=BEGAN,
        finished_at=None,
        tty=False,
        log_path="",
        restart_policy="no",
    )


def test_images() -> None:
    images = {"sha256:1": Image("sha256:1", ("app:1",), ("b@sha256:9", "app@sha256:8"), "abc", HOSTILE)}  # fmt: skip
    running = [container(1, "app:1"), container(1, "app:1"), container(2, "app:2")]
    shown = 'v"1\\\n' + "\ufffd" * 3  # a byte that is no UTF-8, as three
    samples = told(image_samples(running, images))
    assert [(key[0], value) for key, value in samples.items()] == [
        ("sermon_uploader_build_info", 1),
        ("sermon_uploader_image_info", 1),
    ]
    build, info = samples
    assert build == ("sermon_uploader_build_info", "app:1", "abc", shown)
    assert info == ("sermon_uploader_image_info", "app@sha256:8", "app:1", "sha256:1", "app")
    assert told(image_samples(running, {})) == {}


@pytest.mark.parametrize(("newest", "age"), [(900.0, 100), (1000.0, 0), (1100.0, 0)])
def test_the_age_of_a_backup(newest: float, age: float) -> None:
    assert told([backup_samples(newest, 1000.0)]) == {("sermon_uploader_backup_age_seconds",): age}


def test_what_the_toolkit_said_of_its_backups() -> None:
    made = Made(name="x", at=900, bytes=5, seconds=2.5)
    drill = Drill(at=990, ok=False)
    said = told(
        backup_status_samples(Status(newest=made, newest_with_data=made, drill=drill), 1000)
    )
    assert {
        key[0].removeprefix("sermon_uploader_backup_"): value for key, value in said.items()
    } == {
        "data_age_seconds": 100,
        "size_bytes": 5,
        "duration_seconds": 2.5,
        "drill_success": 0,
        "drill_age_seconds": 10,
    }


def test_a_backup_of_the_future_is_no_new_one() -> None:
    """A wrong clock made it: it would look new for years. Another machine's clock may be ahead a little."""
    later, made = (
        Made(name="y", at=1e9, bytes=6, seconds=1),
        Made(name="x", at=1500, bytes=5, seconds=2),
    )
    said = told(backup_status_samples(Status(newest=made, newest_with_data=later), 1000))
    assert {key[0] for key in said} == {
        "sermon_uploader_backup_size_bytes",
        "sermon_uploader_backup_duration_seconds",
    }
    assert 5 in said.values()
    assert told(backup_status_samples(Status(newest=later, newest_with_data=later), 1000)) == {}


def test_no_backup_has_no_age() -> None:
    assert told([backup_samples(None, 1000.0)]) == {}


def test_tags() -> None:
    name = "sermon_uploader_known_good_tag_present"
    assert told([tag_samples({"b": False, "a": True})]) == {(name, "a"): 1, (name, "b"): 0}


def test_every_family_is_listed() -> None:
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    release = Release("app", "a", "b", "", "", "", "", BEGAN, good_since=BEGAN)
    ledger = Ledger((replace(release, until=BEGAN, verdict="good"), replace(release, image_id="c")))
    made = [*ledger_samples(ledger, {"app"}), *image_samples([], {}), tag_samples({})]
    made.append(backup_samples(None, 0))
    made += backup_status_samples(Status(), 0)
    assert {one.family for one in made} == set(FAMILIES)
