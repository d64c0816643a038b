"""Rungs that became due together keep the distance that the ladder gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver.deciding.pacing import apart
from receiver.deciding.policy import parse_policy
from receiver.records import AlertInstance, Step
from tests.parts.receiver_kit import policy_text

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
ROWS = """
  - {alert: Down, severity: critical, discord: now, steps: [restart app @0m, rollback @2m, person @10m]}
  - {alert: Soon, severity: critical, discord: now, steps: [restart app @0m, person @1m]}
  - {alert: Other, severity: critical, discord: now, steps: [rollback @0m, person @3m]}
"""
POLICY = parse_policy(policy_text(ROWS))


def step(number: int, action: str, due: float, started: float | None = None) -> Step:
    target = "" if action == "person" else "app"
    due_at = NOW + timedelta(minutes=due)
    at = None if started is None else NOW + timedelta(minutes=started)
    state: Any = "pending" if at is None else "done"
    return Step(number, 1, action, target, "Down", state, "", due_at, "", at, at)


def alert(name: str, *, firing: bool = True) -> AlertInstance:
    labels = {"alertname": name, "severity": "critical"}
    ended = None if firing else NOW
    return AlertInstance(1, 1, name, name, "critical", labels, {}, NOW, NOW, NOW, ended, 0)


WAITING = (step(2, "rollback", 2), step(3, "person", 10))


@pytest.mark.parametrize(
    ("alerts", "began", "wanted"),
    [
        # In time: nothing moves.
        ([alert("Down")], 0, {}),
        # Held for twenty minutes by a window, or by our own absence.
        ([alert("Down")], 20, {2: 22, 3: 30}),
        ([alert("Down")], 5, {2: 7, 3: 15}),
        # The alert that asks for less patience counts.
        ([alert("Down"), alert("Soon")], 20, {2: 22, 3: 21}),
        # What has ended asks for nothing, and what asks for no restart says nothing about it.
        ([alert("Down", firing=False), alert("Soon")], 20, {3: 21}),
        ([alert("Other")], 20, {}),
        ([], 20, {}),
    ],
)
def test_what_follows_a_late_restart_is_put_off(
    alerts: list[AlertInstance], began: float, wanted: dict[int, float]
) -> None:
    found = apart(step(1, "restart", 0, began), WAITING, alerts, POLICY, ())
    assert found == {number: NOW + timedelta(minutes=m) for number, m in wanted.items()}


def test_a_step_that_never_began_holds_nothing() -> None:
    assert apart(step(1, "restart", 0), WAITING, [alert("Down")], POLICY, ()) == {}
