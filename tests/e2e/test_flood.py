"""`make flood` and `make soak`, small: their own judgement, and that it can fail."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.fire.flood import Outcome, Size, flood
from tests.fire.load import Seen
from tests.fire.soak import MATTERS, Soaked, fit

SMALL = Size(seconds=4, sustained_seconds=1, webhooks=200, slow=150, scrapes=50, lines=5000, calm_seconds=1)  # fmt: skip


@pytest.mark.long
def test_a_small_flood(tmp_path: Path) -> None:
    outcome = flood(tmp_path, SMALL, lambda _: None)
    assert outcome.problems() == [], list(outcome.lines())


def test_what_must_not_be_is_a_problem() -> None:
    good = Outcome(Seen(kept={1}, healthz=[0.1], metrics=[0.1]), 1, 0, 50, 60, 55, 1)
    good.seen.answers.update({"200": 1, "503": 1, "scrape 200": 1})
    assert good.problems() == []
    for wrong in (
        Outcome(good.seen, 1, 1, 50, 60, 55, 1),
        Outcome(good.seen, 1, 0, 50, 101, 55, 1),
        Outcome(good.seen, 1, 0, 50, 60, 70, 1),
        Outcome(Seen(kept={1}, late=["late"]), 1, 0, 50, 60, 55, 1),
        Outcome(Seen(), 1, 0, 50, 60, 55, 1),
    ):
        assert len(wrong.problems()) == 1
    good.seen.answers["500"] += 1
    assert good.problems() == ["answered 500, 1 times"]


def test_a_slope_is_found_with_its_margin_and_noise_is_none() -> None:
    times = [float(t) for t in range(0, 1800, 10)]
    noise = [(-1.0) ** n for n in range(len(times))]
    flat, growing = fit(times, noise), fit(times, [n + t / 100 for n, t in zip(noise, times, strict=True)])  # fmt: skip
    assert abs(flat.hourly) < flat.margin
    assert abs(growing.hourly - 36) < growing.margin
    assert growing.grows(8)
    assert not flat.grows(0.0)
    soaked = Soaked(1800, times, {name: [float(n) for n in noise] for name in MATTERS})
    assert soaked.problems() == []
    soaked.figures["threads"] = [t / 600 for t in times]
    assert [words.partition(" ")[0] for words in soaked.problems()] == ["threads"]
    assert len(list(itertools.islice(soaked.lines(), 10))) == 1 + len(MATTERS)
