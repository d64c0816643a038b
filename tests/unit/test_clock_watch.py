"""A clock that is set is noticed; one that merely goes on is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from receiver.clock_watch import ClockWatch


class Hands:
    """A wall clock and a steady one, moved by hand."""

    def __init__(self) -> None:
        self.wall = datetime(1970, 1, 1, tzinfo=UTC)
        self.steady = 100.0

    def now(self) -> datetime:
        return self.wall

    def go_on(self, seconds: float, *, set_by: float = 0.0) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds + set_by)


@pytest.mark.parametrize(
    ("set_by", "told"), [(0.0, 0.0), (4.0, 0.0), (-10_800.0, -10_800.0), (1e9, 1e9)]
)
def test_a_jump_is_told_once(set_by: float, told: float) -> None:
    hands = Hands()
    watch = ClockWatch(hands, lambda: hands.steady)
    assert watch.jumped() == 0.0
    hands.go_on(60, set_by=set_by)
    assert watch.jumped() == pytest.approx(told)
    hands.go_on(3600)
    assert watch.jumped() == 0.0
