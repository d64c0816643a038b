"""Waiting until a container is well: what is waited for, and what no waiting cures."""

from __future__ import annotations

from typing import Any, cast

import pytest

import recovery.acts
from recovery.acts import Well
from recovery.steps import Hands, StepError
from target.engine import Container, Engine, EngineError
from tests.unit.recovery_kit import SETTINGS, backend

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
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery.acts, "STEADY_SECONDS", 0.02)
    monkeypatch.setattr(recovery.acts, "INTERVAL_SECONDS", 0.01)


def waited(*shown: Container | None, **changes: Any) -> str:
    hands = Hands(SETTINGS, cast("Engine", Seen(*shown)), None, lambda _: None)
    return Well(APP, (), **({"seconds": 0.3} | changes)).do(hands)


UNHEALTHY, HEALTHY = backend(health="unhealthy"), backend(health="healthy")


def test_what_its_healthcheck_said_before_it_was_frozen_may_stand_there_for_a_while() -> None:
    assert waited(UNHEALTHY, UNHEALTHY, HEALTHY, stale=True) == f"{APP} is well"


@pytest.mark.parametrize(
    ("shown", "stale", "said"),
    [
        (UNHEALTHY, False, "its healthcheck says unhealthy"),
        (UNHEALTHY, True, "is not well after 0s: its healthcheck says unhealthy"),
        (backend(state="exited", exit_code=137, oom_killed=True), True, "it exited with code 137, killed for want of memory"),
        (backend(state="created"), False, "it was never started"),
        (backend(health="starting"), False, "its healthcheck has not said yet how it is"),
        (backend(state="paused"), False, "it is paused"),
        (None, False, "there is no such container"),
    ],
)  # fmt: skip
def test_what_does_not_become_well_is_said(shown: Container | None, stale: bool, said: str) -> None:
    with pytest.raises(StepError, match=said):
        waited(shown, stale=stale)


def test_what_restarts_again_and_again_is_not_waited_for() -> None:
    with pytest.raises(StepError, match="it restarted 3 times"):
        waited(*(backend(restart_count=count) for count in range(4)), seconds=30)


def test_it_must_stay_well_and_a_restart_begins_the_time_anew() -> None:
    with pytest.raises(StepError, match="not steady"):
        waited(*(backend(restart_count=count % 2) for count in range(100)))
