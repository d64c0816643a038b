"""What may be typed at the recovery toolkit, and when a request comes too late."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from recovery.cli import main
from recovery.expiry import wait_for_clock
from recovery.inputs import CLOCK_FLOOR, COMMIT, CORRELATION, is_image, printable, too_late

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    "reference",
    [
        "app",
        "app:v1",
        "hub/sermon-uploader-backend:master-1f0c9aa",
        "ghcr.io/white-plains/app@" + DIGEST,
        "127.0.0.1:5000/team/app:v1@" + DIGEST,
        "sermon-monitor/known-good:app-0123456789ab",
        "a__b/c--d.e:T_1",
        DIGEST,
    ],
)
def test_an_image_reference_is_taken(reference: str) -> None:
    assert is_image(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        " app",
        "App:v1",
        "app:",
        "app:v1\n",
        "app@sha256:0f",
        "-app",
        "--privileged",
        "app;reboot",
        "$(reboot)",
        "app:v1 # x",
        "../app",
        "app:" + "x" * 129,
        "a" * 513,
        "app@sha256:" + "0F" * 32,
    ],
)
def test_anything_else_is_not(reference: str) -> None:
    assert not is_image(reference)


@pytest.mark.parametrize("text", ["1f0c9a", "g" * 7, "1F0C9AA ", "1f0c9aa\n", "0" * 65])
def test_what_is_no_commit(text: str) -> None:
    assert not COMMIT.fullmatch(text)


@pytest.mark.parametrize("text", ["", "-x", "a b", "a\n", "x" * 129, "$(x)"])
def test_what_is_no_correlation_id(text: str) -> None:
    assert not CORRELATION.fullmatch(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\r\n", "two lines"),
        ("\x1b[31mred\x00", "[31mred"),
        ("a\u202eb", "a b"),
        ("x ##[error]y", "x ## [error]y"),
        ("x" * 600, "x" * 500),
    ],
)
def test_text_is_made_fit_for_one_line(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("expires", "now", "seen", "words"),
    [
        (None, datetime(1970, 1, 1, tzinfo=UTC), None, None),
        (NOON.replace(hour=13), NOON, None, None),
        (NOON, NOON, None, "expired at 2026-03-01T12:00:00Z"),
        (NOON.replace(hour=11), NOON, None, "expired"),
        (NOON, datetime(2025, 12, 31, tzinfo=UTC), None, "clock is not set"),
        (NOON.replace(hour=13), NOON, NOON.replace(hour=12, minute=1), "clock is not set"),
        (NOON.replace(hour=13), NOON, NOON.replace(hour=11), None),
    ],
    ids=[
        "no limit",
        "in time",
        "on the dot",
        "late",
        "an old clock",
        "a clock before the ledger",
        "fine",
    ],
)
def test_a_late_request_is_refused_with_words(
    expires: datetime | None, now: datetime, seen: datetime | None, words: str | None
) -> None:
    answer = too_late(expires, now, seen)
    if words is None:
        assert answer is None
    else:
        assert answer is not None
        assert words in answer


def test_the_floor_is_not_in_the_future() -> None:
    assert datetime.now(UTC) > CLOCK_FLOOR


@pytest.mark.parametrize(("set_after", "waited"), [(0, 0), (3, 3)])
def test_a_clock_that_is_not_set_yet_is_waited_for(set_after: int, waited: int) -> None:
    """A runner may be quicker after a boot than the network's time."""
    slept: list[float] = []
    wait_for_clock(lambda: len(slept) < set_after, patience=60, sleep=slept.append)
    assert len(slept) == waited


def test_a_clock_that_stays_wrong_is_not_waited_for_without_end() -> None:
    slept: list[float] = []
    wait_for_clock(lambda: True, patience=0.0, sleep=slept.append)
    assert slept == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rollback", "--to-version", ""], "'': allowed: an image's tag or sha256 digest"),
        (["rollback", "--verify-timeout", "nan"], "'nan' is not in the range"),
        (["quick-fix", "--verify-timeout", "NaN"], "'NaN' is not in the range"),
        (["restart-services", "--verify-timeout", "inf"], "is not in the range"),
        (["logs", "--follow", "--json"], "--follow has no end"),
        (["--dry-run"], "which verb? --dry-run says only how"),
        (["--dry-run", "--bogus", "emergency-stop"], "No such option '--bogus'"),
    ],
)
def test_what_means_nothing_is_wrong_usage(words: list[str], said: str) -> None:
    """A variable that was never set is no wish for the last good version; nan is no time."""
    done = CliRunner().invoke(main, words, env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize("option", ["--to-commit", "--to-image", "--expires-at"])
def test_an_input_that_a_workflow_leaves_empty_is_an_absent_one(option: str) -> None:
    words = ["rollback", "--dry-run", option, ""]
    done = CliRunner().invoke(main, words, env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert (done.exit_code, "its socket is not there. First: " in done.output) == (1, True)
