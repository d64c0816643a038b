"""What the audit trail says of a body. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from receiver.deciding.decision import Decision
from target.durations import format_duration

Line = tuple[int | None, str, str]
"""Incident, kind, words."""


def counted(events: Mapping[Line, int]) -> list[Line]:
    """The audit trail's lines: what was decided of many at once is one that says of how many."""
    return [
        (incident_id, kind, words if times == 1 else f"{words} ({times} alerts)")
        for (incident_id, kind, words), times in events.items()
    ]


def words_of(decision: Decision, now: datetime) -> str:
    """For the audit trail: why, and what is planned."""
    if not decision.steps:
        return decision.reason
    zero = decision.ladder_at or now
    planned = ", ".join(
        f"{' '.join(filter(None, ('ask for' if step.ask else '', step.action, step.target)))} at {format_duration(step.due_at - zero)}"
        for step in decision.steps
    )
    return f"{decision.reason}; planned: {planned}"
