"""Proving a version: what is proof, what is waited for, and what no waiting cures."""

from __future__ import annotations

from typing import cast

import pytest

import target.verify
from target.engine import Container, Engine
from target.probe import ProbeResult
from target.verify import Patience, verify
from tests.unit.recovery_kit import V1, V2, Clock, backend

URL = "http://127.0.0.1:8000/api/health"
PATIENCE = Patience(deadline=90, starting=40)
"""A look each second, 10 s of good answers as proof, and for 30 s it may be unhealthy."""
REFUSED = ProbeResult(URL, 0.1, None, "connection_refused", "connection refused")
GOOD = ProbeResult(URL, 0.1, 200, None, "HTTP 200")


class Shown:
    """An Engine whose only containers are these, one look after the other; the last stays."""

    def __init__(self, *looks: Container) -> None:
        self._looks = looks
        self._asked = 0

    def containers(self) -> list[Container]:
        self._asked += 1
        return [self._looks[min((self._asked - 1) // 2, len(self._looks) - 1)]]  # two a look


def verified(
    monkeypatch: pytest.MonkeyPatch, *looks: Container, answer: ProbeResult = GOOD
) -> str | None:
    monkeypatch.setattr(target.verify, "time", Clock())
    monkeypatch.setattr(target.verify, "probe_once", lambda *_: answer)
    engine = cast("Engine", Shown(*looks))
    return verify(engine, "sermon-uploader", "backend", V1, URL, PATIENCE)


STARTING, HEALTHY, UNHEALTHY = (backend(health=h) for h in ("starting", "healthy", "unhealthy"))
ANEW = backend(health="unhealthy", restart_count=1)


@pytest.mark.parametrize(
    "looks",
    [
        [backend()],
        [HEALTHY],
        [STARTING],  # a healthcheck that never says a word holds nothing up for good
        [*[UNHEALTHY] * 30, HEALTHY],  # without a start period it boots slowly
        [*[UNHEALTHY] * 20, *[ANEW] * 20, backend(health="healthy", restart_count=1)],
        [*[UNHEALTHY] * 20, HEALTHY, *[UNHEALTHY] * 20, HEALTHY],
    ],
)  # fmt: skip
def test_it_is_proven(looks: list[Container], monkeypatch: pytest.MonkeyPatch) -> None:
    assert verified(monkeypatch, *looks) is None


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([backend(image_id=V2)], "sermon-uploader-backend runs 222222222222, not 111111111111"),
        ([*[UNHEALTHY] * 31, HEALTHY], "the healthcheck of sermon-uploader-backend has said unhealthy for 30 s"),
        # Past the patience with a healthcheck that is silent, one that complains still counts.
        ([*[STARTING] * 39, UNHEALTHY], "has said unhealthy for 30 s"),
        ([HEALTHY, backend(state="exited", health="unhealthy", exit_code=1)], "exited with code 1"),
        ([backend(restart_count=count) for count in range(4)], "restarted 3 times"),
    ],
)  # fmt: skip
def test_it_is_not(looks: list[Container], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said in (verified(monkeypatch, *looks) or "")


def test_what_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    words = verified(monkeypatch, HEALTHY, answer=REFUSED)
    assert words == f"not well within 90s: {URL}: connection refused"
