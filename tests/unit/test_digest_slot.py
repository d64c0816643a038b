"""When the digest is due: once a local day, around the changes of the clock, after absences, with clocks that are wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from receiver.digest.slot import DAY, LONGEST, Last, latest_slot, moment_of, period_due

BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(n) for n in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))  # fmt: skip
NINE = time(9, 0)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "at", "zone", "wanted"),
    [
        (date(2026, 3, 28), NINE, BERLIN, "2026-03-28T08:00"),
        (date(2026, 3, 29), NINE, BERLIN, "2026-03-29T07:00"),
        (date(2026, 3, 29), time(2, 30), BERLIN, "2026-03-29T01:30"),  # does not exist: it is 3:30 then
        (date(2026, 10, 25), time(2, 30), BERLIN, "2026-10-25T00:30"),  # exists twice: the first time
        (date(2026, 11, 1), time(1, 30), NEW_YORK, "2026-11-01T05:30"),
        (date(2026, 4, 5), time(1, 45), LORD_HOWE, "2026-04-04T14:45"),
        (date(2026, 3, 1), NINE, UTC, "2026-03-01T09:00"),
    ],
)  # fmt: skip
def test_the_slot_of_a_day(day: date, at: time, zone: ZoneInfo, wanted: str) -> None:
    assert moment_of(day, at, zone) == utc(wanted)


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, UTC], ids=str)
@pytest.mark.parametrize("at", [time(0, 0), time(1, 45), time(2, 30), NINE, time(23, 59)], ids=str)
def test_a_year_has_one_a_day_and_no_gap(zone: ZoneInfo, at: time) -> None:
    """Looked at every quarter of an hour, as if we were restarted each time."""
    now = utc("2026-01-01T12:00")
    last, days = Last(latest_slot(now, at, zone)[0], now), []
    covered = last.covers_to
    while now < utc("2027-01-02T12:00"):
        if period := period_due(now, at, zone, last):
            assert period.since == covered
            assert timedelta(0) <= now - period.due_at < timedelta(minutes=16)
            covered = period.until
            last = Last(period.day, period.until)
            days.append(period.day)
        now += timedelta(minutes=15)
    assert days == [days[0] + n * DAY for n in range(len(days))]
    assert 365 <= len(days) <= 367


LAST = Last(date(2026, 3, 10), utc("2026-03-10T08:00"))


def test_what_was_missed_is_one_digest() -> None:
    period = period_due(utc("2026-03-14T15:00"), NINE, BERLIN, LAST)
    assert period is not None
    assert (period.day, period.since, period.until) == (
        date(2026, 3, 14), utc("2026-03-10T08:00"), utc("2026-03-14T08:00"),
    )  # fmt: skip
    assert period_due(utc("2026-03-14T15:00"), NINE, BERLIN, Last(period.day, period.until)) is None


def test_a_long_absence_is_not_told_whole() -> None:
    period = period_due(utc("2026-06-01T15:00"), NINE, BERLIN, LAST)
    assert period is not None
    assert period.until - period.since == LONGEST


def test_what_could_not_be_sent_is_covered_again() -> None:
    unsent = Last(LAST.day, LAST.covers_to, unsent_from=LAST.covers_to - DAY)
    period = period_due(utc("2026-03-11T08:00"), NINE, BERLIN, unsent)
    assert period is not None
    assert period.since == LAST.covers_to - DAY


def test_nothing_is_due_before_its_time_or_with_a_clock_that_is_behind() -> None:
    for now in ("2026-03-11T07:59", "2026-03-10T23:00", "2026-03-10T08:00", "1970-01-02T00:00"):
        assert period_due(utc(now), NINE, BERLIN, LAST) is None


def test_another_time_of_day_makes_no_second_one() -> None:
    assert period_due(utc("2026-03-10T18:30"), time(18, 0), BERLIN, LAST) is None
    late = Last(date(2026, 3, 10), utc("2026-03-10T22:00"))
    earlier = period_due(utc("2026-03-11T08:01"), NINE, BERLIN, late)
    assert earlier is not None
    assert earlier.since == utc("2026-03-10T22:00")


def test_a_zone_far_away_keeps_its_days() -> None:
    day, moment = latest_slot(utc("2026-03-10T00:00"), NINE, ZoneInfo("Pacific/Kiritimati"))
    assert (day, moment) == (date(2026, 3, 10), utc("2026-03-09T19:00"))
