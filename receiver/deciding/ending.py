"""Whether an incident is over, or only its emergency is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from receiver.deciding.gates import Confirmation
from receiver.records import LOOKING, AlertInstance, Step
from receiver.store.history import History


@dataclass(frozen=True)
class Ending:
    """resolve: it is over · calm: only alerts without steps still fire, the ladder ends · wait: ask
    again soon · on: the ladder goes on. ``words``: why, for the card."""

    kind: Literal["resolve", "calm", "wait", "on"]
    words: str


@dataclass(frozen=True)
class Sight:
    """How far it may be believed that an alert is over because Alertmanager says so: it also says so
    when Prometheus has died.

    ``blind``: why nothing may, in words; empty while the Watchdog arrives. ``on_trust``: the names of
    alerts whose end nothing but that word shows.
    """

    blind: str = ""
    on_trust: tuple[str, ...] = ()


CLEAR = Sight()


def judge_end(
    history: History,
    asking: Sequence[AlertInstance],
    seen: Confirmation,
    sight: Sight = CLEAR,
) -> Ending:
    """``asking``: the firing alerts that ask for steps; ``seen``: our own look at what was wrong."""
    firing = [alert for alert in history.alerts if alert.firing]
    under_way = [s for s in history.steps if s.state == "running" and s.action not in LOOKING]
    if asking:
        return Ending("on", "")
    if under_way:
        return Ending("wait", "")
    if seen.sick or (seen.sick is None and not seen.unaskable):
        words = f"the alerts are over, but our own look does not agree: {seen.words}"
        return Ending("wait", f"monitoring is blind; {words}" if sight.blind else words)
    if sight.on_trust:
        return Ending("wait", _blind_words(sight) if sight.blind else "")
    if not firing:
        return Ending("resolve", _how_it_ended(history, seen))
    names = ", ".join(sorted({alert.name for alert in firing}))
    return Ending("calm", f"{_how_it_ended(history, seen)}; {names} still fires")


def _blind_words(sight: Sight) -> str:
    names = ", ".join(sight.on_trust)
    return f"monitoring is blind: {sight.blind}; whether {names} is over cannot be told"


def _how_it_ended(history: History, seen: Confirmation) -> str:
    last = _last_of_ladder(history)
    if last is None:
        how = "It ended without a step of ours"
    elif last.state == "failed":
        how = f"It ended after a {last.action} of ours had failed"
    elif last.action == "rollback":
        title = last.detail.get("target", {}).get("title", "The last good version")
        how = f"{title} runs again: its version and its health are verified"
    elif _was_not_enough(last, history):
        how = f"It was over some time after a {last.action}; what cured it is not known here"
    else:
        how = f"A {last.action} cured it ({last.words})"
    return f"{how}; our own look agrees: {seen.words}"


def _was_not_enough(last: Step, history: History) -> bool:
    """A later rung found it still broken."""
    ended = last.ended_at or last.due_at
    return any(
        step.state in ("done", "refused")
        and step.action not in {last.action, *LOOKING}
        and step.ended_at is not None
        and step.ended_at > ended
        for step in history.steps
    )


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
        and step.action not in {"person", *LOOKING}
        and (step.started_at or step.due_at) >= began
    ]
    return max(ran, key=lambda step: step.ended_at or step.due_at, default=None)
