"""What is said of a dispatch whose answer was lost: that there is no run, or that nobody could be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from receiver.actions import Progress
from receiver.actions.workflow_run import WorkflowRun
from receiver.deciding.timing import Timing
from receiver.github.answers import Run
from receiver.github.client import GitHub
from receiver.records import Step
from receiver.telling.delivery import DeliveryError
from target.times import rfc3339

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TIMING = Timing(
    recheck=SECOND,
    run_poll=SECOND,
    run_lookup=10 * SECOND,
    queue_deadline=60 * SECOND,
    run_deadline=60 * SECOND,
    verify_for=SECOND,
    verify_deadline=SECOND,
)
DOWN = DeliveryError("GitHub answered 503")


class Listing:
    """A GitHub whose list of runs is asked; each answer is none, or an error."""

    def __init__(self, *answers: DeliveryError | None) -> None:
        self._answers = list(answers)

    async def find_run(self, _correlation_id: str, _since: datetime) -> Run | None:
        answer = self._answers.pop(0)
        if answer is not None:
            raise answer
        return None


def searching(detail: dict[str, Any]) -> Step:
    return Step(7, 1, "rollback", "app", "A", "running", "searching", NOW, "", NOW, None, detail)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((None, None), "no run with sm-1 is to be found; nothing was sent again"),
        ((DOWN, None), "no run with sm-1 is to be found; nothing was sent again"),
        (
            (DOWN, DOWN),
            "GitHub could not be asked whether there is a run with sm-1: GitHub answered 503; nothing was sent again",
        ),
        (
            (None, DOWN),
            "a run with sm-1 was not to be found at 03:00:01 CET, and GitHub cannot be asked since: GitHub answered 503;",
        ),
    ],
)
@pytest.mark.parametrize("other_way", [True, False])
async def test_that_nobody_could_be_asked_is_not_that_there_is_none(
    answers: tuple[DeliveryError | None, ...], said: str, other_way: bool
) -> None:
    github = cast(GitHub, Listing(*answers))
    rollback = WorkflowRun(github, TIMING, other_way=other_way, zone=ZoneInfo("Europe/Berlin"))
    expiry = rfc3339(NOW + 60 * SECOND)
    detail = {
        "correlation_id": "sm-1",
        "search_until": rfc3339(NOW + 10 * SECOND),
        "expires_at": expiry,
        "inputs": {"expires_at": expiry},
    }
    first = await rollback.advance(searching(detail), NOW + SECOND)
    assert isinstance(first, Progress)
    assert first.words.startswith("looking for the run"), "it is not late yet"

    last = await rollback.advance(searching(dict(first.detail)), NOW + 11 * SECOND)
    assert isinstance(last, Progress)
    assert last.words.startswith(said)
    assert last.words.endswith("03:01:00 CET") is other_way, "until when the run could act"
    assert (last.state, last.call_person) == (("running", False) if other_way else ("failed", True))
