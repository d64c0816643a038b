"""What a look at the end of an incident's alerts writes, on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from receiver.deciding.closing import Closing
from receiver.deciding.ending import CLEAR
from receiver.deciding.gates import Confirmation
from receiver.deciding.situation import Lookout
from receiver.store import steps
from receiver.store.database import connect, migrate
from receiver.store.history import read_history
from tests.parts.intake_kit import Story

NOBODY_ASKS = cast(
    Lookout, SimpleNamespace(asking=lambda _alerts: [], wanted=lambda _step, _history: False)
)
WELL = Confirmation(False, "it answers")


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with closing(connect(tmp_path / "s.sqlite3")) as connection:
        migrate(connection)
        yield Story(connection)


def told(story: Story) -> Any:
    """How often there was news for the card."""
    return story.c.execute("SELECT revision FROM messages WHERE kind = 'card'").fetchone()[0]


def test_what_is_dropped_while_a_step_is_under_way_is_news_for_the_card(story: Story) -> None:
    """The card says what comes next: it must not name a restart that nobody waits for any more."""
    story.fires("ServiceDown", cause="app")
    number, now = story.incident.id, story.clock.pass_by(minutes=3)
    rollback = next(s for s in steps.steps(story.c, number) if s.action == "rollback")
    assert steps.claim_step(story.c, rollback.id, "searching", {}, now)
    story.ends("ServiceDown", cause="app")
    before = told(story)
    history = read_history(story.c, number, now)
    assert history is not None
    look = Closing(NOBODY_ASKS, WELL, CLEAR, now, now + timedelta(seconds=15))
    assert look.apply(story.c, history) == "wait"
    assert [(action, state) for action, state, _ in story.steps()] == [
        ("restart", "dropped"),
        ("rollback", "running"),
        ("person", "pending"),
    ]
    assert told(story) == before + 1
    assert look.apply(story.c, history) == "wait"
    assert told(story) == before + 1, "nothing more was dropped"
