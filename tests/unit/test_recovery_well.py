"""Waiting until a container is well: what is waited for, and what no waiting cures."""

from __future__ import annotations

from typing import Any, cast

import pytest

import recovery.acts
from recovery.acts import Well
from recovery.steps import Hands, StepError
from target.engine import Container, Engine, EngineError
from tests.unit.recovery_kit import SETTINGS, Clock, backend

APP = "sermon-uploader-backend"


class Seen:
    """An Engine that shows one container as these, one after the other; the last stays. None: it is gone."""

    def __init__(self, *shown: Container | None) -> None:
        self._left = iter(shown)
        self._last = shown[0]

    def container(self, _: str) -> Container:
        self._last = next(self._left, self._last)
        if self._last is None:
            raise EngineError("no such container", missing=True)
        return self._last


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery.acts, "time", Clock())


def waited(*shown: Container | None, **changes: Any) -> str:
    """A look each half second."""
    hands = Hands(SETTINGS, cast("Engine", Seen(*shown)), None, lambda _: None)
    return Well(APP, (), **({"seconds": 90.0} | changes)).do(hands)


UNHEALTHY, HEALTHY = backend(health="unhealthy"), backend(health="healthy")
ANEW = backend(health="unhealthy", restart_count=1)


@pytest.mark.parametrize(
    "shown",
    [
        [*[UNHEALTHY] * 60, HEALTHY],  # 29.5 s: without a start period it boots slowly
        [*[UNHEALTHY] * 40, HEALTHY, *[UNHEALTHY] * 40, HEALTHY],
        [*[UNHEALTHY] * 40, *[ANEW] * 40, backend(health="healthy", restart_count=1)],
    ],
    ids=["less than a third of the time", "not unbroken", "started anew"],
)
def test_it_may_be_unhealthy_for_a_while(shown: list[Container]) -> None:
    assert waited(*shown) == f"{APP} is well"


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ([*[UNHEALTHY] * 61, HEALTHY], "its healthcheck has said unhealthy for 30 s"),
        ([backend(state="exited", health="unhealthy", exit_code=137, oom_killed=True)], "it exited with code 137, killed for want of memory"),
        ([backend(state="created")], "it was never started"),
        ([backend(health="starting")], "its healthcheck has not said yet how it is"),
        ([backend(state="paused", health="unhealthy")], "it is paused"),
        ([None], "there is no such container"),
    ],
)  # fmt: skip
def test_what_does_not_become_well_is_said(shown: list[Container | None], said: str) -> None:
    with pytest.raises(StepError, match=said):
        waited(*shown)


def test_what_restarts_again_and_again_is_not_waited_for() -> None:
    with pytest.raises(StepError, match="it restarted 3 times"):
        waited(*(backend(restart_count=count) for count in range(4)), seconds=30)


def test_it_must_stay_well_and_a_restart_begins_the_time_anew() -> None:
    with pytest.raises(StepError, match="not steady"):
        waited(*(backend(restart_count=count % 2) for count in range(200)))
