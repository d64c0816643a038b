"""A month of Saturdays, and docs/saturdays.md, which tells what was sent and done on them.

``UPDATE_GOLDEN=1 pytest tests/parts/test_saturdays.py`` writes the page anew; read it as a diff.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest

from tests.saturdays.simulation import Line, Simulation, conditions, simulated
from tests.saturdays.stories import STORIES, Story

PAGE = Path(__file__).parents[2] / "docs" / "saturdays.md"
HEAD = """\
# A month of Saturdays

Ten things that go wrong on a Saturday, played in simulated time against the receiver's own parts: store, gates,
actions, outbox and the shipped policy.yml, with stand-ins for Discord, GitHub and the Docker Engine. It is one
store for the whole month, so that budgets and cool-downs count. A test plays it again and compares; nothing on
this page is written by hand. All times are UTC.

*happens* is what the story does; all else is the receiver's own audit trail, and what Discord then showed: *told* a
new message, *the card now* an edit that changes its title.
"""


def page(played: Iterable[tuple[Story, list[Line]]]) -> str:
    parts = [HEAD]
    for story, lines in played:
        parts.append(f"## {story.title}\n\n{story.begin:%A %-d %B}: {story.about}.\n")
        rows = "\n".join(f"| {line.at:%H:%M:%S} | {line.what} | {line.words} |" for line in lines)
        parts.append(f"| when | what | why, or in which words |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _turn(line: Line) -> tuple[datetime, bool]:
    """What is shown follows what was done at the same moment."""
    return line.at, line.what.startswith(("told", "the card"))


async def play(directory: Path) -> tuple[list[tuple[Story, list[Line]]], Simulation]:
    played = []
    async with simulated(directory, STORIES[0].begin) as sim:
        sim.prometheus.conditions += conditions(sim.deployment)
        for story in STORIES:
            sim.skip_to(story.begin)
            await sim.go_on(0.5)
            sim.lines.clear()
            await story.play(sim)
            played.append((story, sorted(sim.lines, key=_turn)))
    return played, sim


@pytest.mark.timeout(600)
def test_what_is_sent_and_done_on_a_month_of_saturdays(tmp_path: Path) -> None:
    played, sim = asyncio.run(play(tmp_path))
    told = page(played)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(told, encoding="utf-8")
    assert told == PAGE.read_text(encoding="utf-8")
    by_incident = [d.inputs["correlation_id"].split("-")[1] for d in sim.github.dispatches]
    assert len(by_incident) == len(set(by_incident)), "one rollback an incident"
    kinds = {story.title: {line.what for line in lines} for story, lines in played}
    assert "rollback done" in kinds["Bad deploy"]
    assert "rollback failed" in kinds["Bad deploy, and the version before it is bad too"]
    assert "rollback begins" not in kinds["Runner down"] | kinds["MinIO down"] | kinds["Full disk"]
    assert "person done" not in kinds["Maintenance"], "what cures it at the end wakes nobody"
