"""When an emergency stop is proposed, what it would stop, and what it means while it is in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.deciding.decision import PlannedStep
from receiver.records import Incident, Step
from receiver.settings import ReceiverSettings
from receiver.store import incidents, messages, steps
from target import roles
from target.engine import Container
from target.members import members

ACTION = "emergency_stop"
AFTER = timedelta(minutes=10)
"""On the ladder: whoever was called may have put it right by then."""
BY_GITHUB = "github"
"""The subject of an approval of a stop by GitHub's workflow, asked for where no Engine answers here."""
LIVE = ("running", "restarting", "paused")
PLANNED = "only if it is still critical then, and a person approves it"
START_AGAIN = "to start it again, on the host, type: sermon-recovery emergency-restart"


def proposed(
    ended: Step, incident: Incident, known: Sequence[Step], now: datetime, *, switched_on: bool
) -> PlannedStep | None:
    """The stop that a step's end proposes: after a rollback that failed, once an incident. Pure.

    Whether it is still critical is asked when it is due, by the gates.
    """
    failed = ended.action == "rollback" and ended.state == "failed"
    had = any(one.action == ACTION for one in known)
    if not (failed and switched_on and incident.severity == "critical") or had:
        return None
    due = max(now, (incident.ladder_at or incident.opened_at) + AFTER)
    return PlannedStep(ACTION, "app", due, ask=True)


def propose(c: Connection, step_id: int, settings: ReceiverSettings, now: datetime) -> None:
    """Plan the stop where the step that has just ended proposes one."""
    ended = steps.step(c, step_id)
    incident = incidents.incident(c, ended.incident_id) if ended else None
    if ended is None or incident is None:
        return
    known, on = steps.steps(c, incident.id), settings.emergency_stop_on_critical
    planned = proposed(ended, incident, known, now, switched_on=on)
    if planned is None:
        return
    steps.add_step(c, incident.id, planned, ended.alert)
    for one in steps.steps(c, incident.id):
        if one.action == ACTION:
            steps.defer_step(c, one.id, PLANNED, planned.due_at)
    due = planned.due_at.astimezone(settings.zone)
    words = (
        f"the rollback has failed: a person is asked at {due:%H:%M %Z} if it is still critical then"
    )
    messages.add_event(c, incident.id, f"{ACTION} planned", words, now)


def apps(containers: Sequence[Container], settings: ReceiverSettings) -> list[Container]:
    """The deployment's containers without MinIO's, in the order to stop. Never our own."""
    every = members(containers, settings)
    minio = {one.id for one in roles.minio_containers(every, settings)}
    return [one for one in reversed(every) if one.id not in minio]


def live(containers: Sequence[Container], settings: ReceiverSettings) -> list[Container]:
    """Those of ``apps`` that a stop would stop."""
    return [one for one in apps(containers, settings) if one.state in LIVE]


def in_force(
    step: Step, stops: Sequence[Step], containers: Sequence[Container], settings: ReceiverSettings
) -> str:
    """Why the application is left as it is, in words: it was stopped on purpose, and not started since."""
    ends = [one.ended_at for one in stops if one.state == "done" and one.ended_at]
    if not ends or step.target != "app":
        return ""
    if any(_started_since(one, max(ends)) for one in apps(containers, settings)):
        return ""
    return f"the application was stopped on purpose, with a person's approval; {START_AGAIN}"


def _started_since(one: Container, stopped_at: datetime) -> bool:
    return one.state in LIVE or (one.started_at is not None and one.started_at > stopped_at)
