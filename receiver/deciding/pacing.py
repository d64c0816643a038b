"""Keeps the rungs of a ladder apart that became due together: after maintenance, or after we were away.

A restart that was made late gets the time that the ladder gives it before the next rung.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from sqlite3 import Connection

from receiver.deciding.decision import asked
from receiver.deciding.policy import Policy
from receiver.records import AlertInstance, Step
from receiver.settings import ReceiverSettings
from receiver.store import incidents, steps


def apart(
    began: Step,
    waiting: Iterable[Step],
    alerts: Iterable[AlertInstance],
    policy: Policy,
    minio_service: Sequence[str],
) -> Mapping[int, datetime]:
    """When steps that wait may come at the earliest, by their id, where that is later than they would. Pure.

    A step that none of ``alerts`` asks for behind the one that ``began`` keeps its time.
    """
    earliest: dict[int, datetime] = {}
    zero = began.started_at
    tables = [
        asked(policy.row(alert.labels, alert.severity), alert.labels, minio_service)
        for alert in alerts
        if alert.firing
    ]
    for step in waiting:
        distances = [
            table[step.action, step.target].after - table[began.action, began.target].after
            for table in tables
            if (began.action, began.target) in table and (step.action, step.target) in table
        ]
        if zero and distances and step.due_at < zero + min(distances):
            earliest[step.id] = zero + min(distances)
    return earliest


def keep_apart(c: Connection, began: Step, policy: Policy, settings: ReceiverSettings) -> None:
    """Put off what would follow too soon upon a restart that has ended."""
    if began.action != "restart":
        return
    waiting = [s for s in steps.steps(c, began.incident_id) if s.state == "pending"]
    alerts = incidents.alerts(c, began.incident_id)
    for step_id, due_at in apart(began, waiting, alerts, policy, settings.minio_service).items():
        steps.put_off(c, step_id, due_at)
