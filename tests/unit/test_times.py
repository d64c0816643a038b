"""Times as Docker, Alertmanager and people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.times import parse_engine_time, parse_rfc3339

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01t12:00:00z", NOON),
        ("2026-03-01T12:00:00+00:00", NOON),
        ("2026-03-01T07:00:00-05:00", NOON),
        ("2026-03-02T01:45:00+13:45", NOON),
        ("2026-03-01T12:00:00.1Z", NOON + timedelta(milliseconds=100)),
        ("2026-03-01T12:00:00.000001Z", NOON + timedelta(microseconds=1)),
        ("2026-03-01T12:00:00.999999999Z", NOON + timedelta(microseconds=999_999)),
        ("2026-03-01T12:00:00.000000999Z", NOON),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ],
)
def test_read(text: str, moment: datetime) -> None:
    assert parse_rfc3339(text) == moment
    assert parse_rfc3339(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-03-01",
        "2026-03-01 12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00Z",
        "2026-02-29T12:00:00Z",
        "2026-03-01T24:30:00Z",
        "2026-03-01T12:00:60Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00,5Z",
        "2026-03-01T12:00:00+0500",
        "2026-03-01T12:00:00+99:99",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-03-01T12:00:00Z\n",
        "٢٠٢٦-03-01T12:00:00Z",
        "2026-03-01T12:00:00." + "0" * 5_000 + "Z",
    ],
)
def test_refused_in_short_words(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - any words, but few
        parse_rfc3339(text)
    assert len(str(caught.value)) < 200


@given(
    st.integers(0, 315_000_000_000_000_000),
    st.integers(-14 * 60, 14 * 60),
)
def test_round_trip(microseconds: int, offset: int) -> None:
    begin = datetime(2, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    moment = begin.astimezone(timezone(timedelta(minutes=offset)))
    assert parse_rfc3339(moment.isoformat()) == moment


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_rfc3339(text)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00.123456789Z", NOON + timedelta(microseconds=123_456)),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("never", None),
    ],
)
def test_the_engines_zero_time_means_never(text: str, moment: datetime | None) -> None:
    assert parse_engine_time(text) == moment
