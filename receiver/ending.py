"""Whether an incident is over, or only its emergency is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from receiver.gates import Confirmation
from receiver.records import AlertInstance, Step
from receiver.situation import History


@dataclass(frozen=True)
class Ending:
    """resolve: it is over · calm: only alerts without steps still fire, the ladder ends · wait: ask
    again soon · on: the ladder goes on. ``words``: why, for the card."""

    kind: Literal["resolve", "calm", "wait", "on"]
    words: str


def judge_end(history: History, asking: Sequence[AlertInstance], seen: Confirmation) -> Ending:
    """``asking``: the firing alerts that ask for steps; ``seen``: our own look at what was wrong."""
    firing = [alert for alert in history.alerts if alert.firing]
    under_way = [step for step in history.steps if step.state == "running"]
    if asking:
        return Ending("on", "")
    if under_way:
        return Ending("wait", "")
    if seen.sick or (seen.sick is None and not seen.unaskable):
        words = f"the alerts are over, but our own look does not agree: {seen.words}"
        return Ending("wait", words)
    if not firing:
        return Ending("resolve", _how_it_ended(history, seen))
    names = ", ".join(sorted({alert.name for alert in firing}))
    return Ending("calm", f"{_how_it_ended(history, seen)}; {names} still fires")


def _how_it_ended(history: History, seen: Confirmation) -> str:
    last = _last_of_ladder(history)
    if last is None:
        how = "It ended without a step of ours"
    elif last.state == "failed":
        how = f"It ended after a {last.action} of ours had failed"
    elif last.action == "rollback":
        title = last.detail.get("target", {}).get("title", "The last good version")
        how = f"{title} runs again: its version and its health are verified"
    else:
        how = f"A {last.action} cured it ({last.words})"
    return f"{how}; our own look agrees: {seen.words}"


def _last_of_ladder(history: History) -> Step | None:
    """What was done last since the ladder began: an earlier cure cured something else."""
    incident = history.incident
    began = incident.ladder_at or incident.opened_at
    if incident.ladder_at is None and incident.reopened:
        return None  # what came back are mere warnings; the steps were for what had been before
    ran = [
        step
        for step in history.steps
        if step.state in ("done", "failed")
        and step.action != "person"
        and (step.started_at or step.due_at) >= began
    ]
    return max(ran, key=lambda step: step.ended_at or step.due_at, default=None)
