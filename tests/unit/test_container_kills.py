"""Out-of-memory kills, told by events and counted by the kernel: each counts once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from exporter.container_kills import Kills
from tests.unit.test_cgroup_reader import CONTAINER, STARTED

Sight = tuple[int, int, int | None]
"""Run, kills told by events, kills that the kernel has counted in this run."""


@pytest.mark.parametrize(
    ("sights", "total"),
    [
        ([(0, 0, 0)], 0),
        ([(0, 0, None)], 0),
        ([(0, 0, 0), (0, 1, 1)], 1),
        ([(0, 0, 0), (0, 0, 1), (0, 1, 1)], 1),
        ([(0, 0, 0), (0, 1, 0), (0, 1, 1)], 1),
        ([(0, 0, 0), (0, 1, None)], 1),
        # Of two at once the Engine tells one.
        ([(0, 0, 0), (0, 1, 2)], 2),
        # The stream was broken.
        ([(0, 0, 0), (0, 0, 3)], 3),
        # Before this process began.
        ([(0, 0, 7), (0, 0, 7)], 0),
        ([(0, 0, 7), (0, 1, 8)], 1),
        # Each run counts for itself.
        ([(0, 0, 0), (0, 1, 1), (1, 1, 0)], 1),
        ([(0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 2, 1)], 2),
        ([(0, 0, 0), (0, 1, None), (1, 2, 1)], 2),
        ([(0, 0, 0), (1, 0, 2)], 2),
        # The group is gone, what it had counted is not.
        ([(0, 0, 0), (0, 0, 2), (0, 0, None)], 2),
    ],
)
def test_kills(sights: list[Sight], total: int) -> None:
    kills = Kills()
    counts = [
        kills.total(replace(CONTAINER, started_at=STARTED + timedelta(hours=run)), told, kernel)
        for run, told, kernel in sights
    ]
    assert counts[-1] == total
    assert counts == sorted(counts)


def test_what_is_gone_is_forgotten() -> None:
    kills = Kills()
    kills.total(CONTAINER, 0, 0)
    kills.total(CONTAINER, 0, 5)
    kills.keep([])
    assert kills.total(CONTAINER, 0, 5) == 0
