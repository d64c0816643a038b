"""What a health endpoint's body must hold."""

from __future__ import annotations

import pytest

from target.expected_body import checked, holds


@pytest.mark.parametrize(
    ("body", "expected", "found"),
    [
        (b"", "", True),
        (b"anything", "", True),
        (b'{"status": "healthy"}', '"status":"healthy"', True),
        (b'{"status":"healthy"}', '"status": "healthy"', True),
        (b'{\n  "status" : "healthy"\n}', '"status":"healthy"', True),
        (b'{"status":"unhealthy"}', '"status":"healthy"', False),
        (b'{"status":"degraded","minio":"ok"}', '"status":*"ok"', True),
        (b'{"minio":"ok","status":"degraded"}', '"status":*"ok"', False),
        (b"aXb", "a*b", True),
        (b"ab", "a*b", True),
        (b"ba", "a*b", False),
        (b"ab", "*a**b*", True),
        (b"a", "a*a", False),
        ("gesund: größer".encode(), "größer", True),
        (b"\xff\xfe", "x", False),
        (b"", "x", False),
    ],
)
def test_bodies(body: bytes, expected: str, found: bool) -> None:
    assert holds(body, expected) is found


def test_a_hostile_body_takes_one_look_a_piece() -> None:
    """What would keep a regular expression busy for hours: no limit of time is needed here."""
    assert not holds(b"a" * 65536, "a*" * 99 + "b")


@pytest.mark.parametrize("expected", ["*", " * ", "x" * 201])
def test_what_cannot_be_looked_for(expected: str) -> None:
    with pytest.raises(ValueError, match="allowed: up to 200 characters"):
        checked(expected)


def test_what_can() -> None:
    assert checked("") == ""
    assert checked('"status":*"ok"') == '"status":*"ok"'
