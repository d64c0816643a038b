"""When recurring maintenance windows come, over changes of the clocks too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from receiver.deciding.policy import PolicyError, parse_policy
from receiver.maintenance.calendar import DAYS, Calendar, Recurring, occurrences, problem_of
from tests.parts.receiver_kit import policy_text

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)


def window(**changes: Any) -> Recurring:
    fixed = {"days": ["tue"], "from": "02:00", "for": "1h", "reason": "updates"}
    return Recurring.model_validate(fixed | changes)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-03-03 00:59:59", False),  # a Tuesday; 02:00 in Berlin is 01:00 UTC
        ("2026-03-03 01:00:00", True),
        ("2026-03-03 01:59:59", True),
        ("2026-03-03 02:00:00", False),
        ("2026-03-04 01:30:00", False),
        ("2026-07-07 00:00:00", True),  # in summer 02:00 is 00:00 UTC
        ("2026-07-07 01:00:00", False),
    ],
)
def test_it_is_open_from_its_beginning_until_just_before_its_end(now: str, is_open: bool) -> None:
    assert bool(occurrences(Calendar([window()], BERLIN), at(now))) is is_open


@pytest.mark.parametrize(
    ("zone", "day", "begin", "starts_at"),
    [
        # 02:30 does not exist on the day when the clocks go from 2 to 3: an hour later by the clock.
        (BERLIN, "2026-03-29", "02:30", "2026-03-29 01:30:00"),
        (NEW_YORK, "2026-03-08", "02:30", "2026-03-08 07:30:00"),
        # 02:30 comes twice on the day when they go back: the first time.
        (BERLIN, "2026-10-25", "02:30", "2026-10-25 00:30:00"),
        (NEW_YORK, "2026-11-01", "01:30", "2026-11-01 05:30:00"),
    ],
)
def test_the_clocks_change(zone: ZoneInfo, day: str, begin: str, starts_at: str) -> None:
    every = [window(days=["sun"], **{"from": begin, "for": "2h"})]
    (one,) = occurrences(Calendar(every, zone), at(f"{day} 00:00:00"), timedelta(days=1))
    assert (one.starts_at, one.ends_at) == (at(starts_at), at(starts_at) + timedelta(hours=2))


def test_a_night_from_one_day_to_the_next() -> None:
    every = [window(days=["sat"], **{"from": "23:00", "for": "4h"})]
    (one,) = occurrences(Calendar(every, ZoneInfo("UTC")), at("2026-03-08 02:59:00"))
    assert one.starts_at == at("2026-03-07 23:00:00")


def test_the_next_days_in_order() -> None:
    every = [window(days=["fri"], reason="b"), window(days=list(DAYS), reason="a")]
    found = occurrences(Calendar(every, BERLIN), at("2026-03-03 12:00:00"), timedelta(days=7))
    assert [one.reason for one in found] == ["a", "a", "a", "b", "a", "a", "a", "a"]
    assert [one.starts_at for one in found] == sorted(one.starts_at for one in found)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    st.times().map(lambda t: t.strftime("%H:%M")),
    st.integers(1, 24 * 60),
)
def test_whatever_the_clock_it_is_open_for_as_long_as_it_says(
    now: datetime, zone: str, begin: str, minutes: int
) -> None:
    every = [window(days=list(DAYS), **{"from": begin, "for": f"{minutes}m"})]
    calendar = Calendar(every, ZoneInfo(zone))
    found = occurrences(calendar, now, timedelta(days=2))
    assert 2 <= len(found) <= 5
    for one in found:
        assert one.ends_at - one.starts_at == minutes * MINUTE
        assert occurrences(calendar, one.ends_at - MINUTE / 2)
        later = occurrences(calendar, one.ends_at)
        assert one not in later


@pytest.mark.parametrize(
    ("length", "reason", "words"),
    [
        (timedelta(seconds=59), "x", "allowed: from 1m to 1d"),
        (timedelta(hours=25), "x", "allowed: from 1m to 1d"),
        (30 * MINUTE, "  ", "a reason is needed"),
        (MINUTE, "x", ""),
        (timedelta(hours=24), "x", ""),
    ],
)
def test_what_may_be_opened(length: timedelta, reason: str, words: str) -> None:
    assert problem_of(length, reason).startswith(words)
    assert bool(problem_of(length, reason)) == bool(words)


@pytest.mark.parametrize(
    ("written", "begin"), [('"02:00"', "02:00"), ("22:30", "22:30"), ("02:00", "02:00")]
)
def test_a_time_may_stand_without_quotes(written: str, begin: str) -> None:
    """YAML reads 22:30 as the number 1350."""
    text = policy_text("\n  []\n") + f"maintenance: [{{from: {written}, for: 1h, reason: x}}]\n"
    (one,) = parse_policy(text).maintenance
    assert one.begin.strftime("%H:%M") == begin
    assert one.days == DAYS


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{from: '25:00', for: 1h, reason: x}", "a time of day"),
        ("{from: noon, for: 1h, reason: x}", "a time of day"),
        ("{from: 99999, for: 1h, reason: x}", "a time of day"),
        ("{from: '02:00', for: 25h, reason: x}", "allowed: from 1m to 1d"),
        ("{from: '02:00', for: 1h, reason: ' '}", "a reason is needed"),
        ("{from: '02:00', for: 1h}", "maintenance.0.reason"),
        ("{days: [], from: '02:00', for: 1h, reason: x}", "maintenance.0.days"),
        ("{days: [tuesday], from: '02:00', for: 1h, reason: x}", "maintenance.0.days.0"),
        ("{from: '02:00', for: 1h, reason: x, until: 3}", "maintenance.0.until"),
    ],
)
def test_a_window_that_cannot_be(row: str, words: str) -> None:
    with pytest.raises(PolicyError, match="maintenance") as caught:
        parse_policy(policy_text("\n  []\n") + f"maintenance: [{row}]\n")
    assert words in str(caught.value)


def test_a_recurring_window_is_strict() -> None:
    with pytest.raises(ValidationError):
        window(days=["tue"], begin="02:00")
