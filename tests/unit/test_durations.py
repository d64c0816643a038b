"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from target.durations import Duration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("1.5", 1.5),
        (" 30 ", 30),
        ("30s", 30),
        ("250ms", 0.25),
        ("0.5s", 0.5),
        ("15m", 900),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1d2h3m4s", 93_784),
        ("1m1m", 120),
        ("366d", 31_622_400),
    ],
)
def test_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1",
        "-5m",
        "1,5",
        "1e3",
        "5 m",
        "5M",
        "5min",
        "1y",
        "m",
        "1.m",
        ".5s",
        "inf",
        "nan",
        "367d",
        "9" * 400,
        "9" * 400 + "s",
        "5m\x00",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|longer than 366d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(), "0s"),
        (timedelta(seconds=45), "45s"),
        (timedelta(seconds=60), "1m"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(days=1, seconds=1), "1d1s"),
        (timedelta(milliseconds=250), "0.25s"),
        (timedelta(seconds=100), "1m40s"),
        (timedelta(seconds=-5), "-5s"),
    ],
)
def test_written(value: timedelta, text: str) -> None:
    assert format_duration(value) == text


@given(st.integers(0, 366 * 86_400_000))
def test_what_is_written_is_read_again(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert abs(parse_duration(format_duration(value)) - value) <= timedelta(microseconds=1)


@given(st.text(alphabet="0123456789.dhms -"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = parse_duration(text)
    except ValueError:
        return
    assert timedelta() <= value <= timedelta(days=366)


def test_as_a_field() -> None:
    field: TypeAdapter[timedelta] = TypeAdapter(Duration)
    assert field.validate_python("15m") == field.validate_python(900) == timedelta(minutes=15)
    assert field.dump_json(timedelta(minutes=90)) == b'"1h30m"'
    hostile: tuple[object, ...] = (True, None, [], -1, float("nan"), 10**400)
    for wrong in hostile:
        with pytest.raises(ValidationError):
            field.validate_python(wrong)
