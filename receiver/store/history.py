"""All that the store knows about one incident, as one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.records import (
    AlertInstance,
    Approval,
    Event,
    EvidenceFile,
    Incident,
    PictureFile,
    Step,
    Window,
)
from receiver.store import approvals, evidence, incidents, pictures, steps, windows
from receiver.store import by_hand as hand

STOPS_REMEMBERED = timedelta(days=7)
"""How long an emergency stop is looked back at; what stands still for longer is nobody's emergency."""


@dataclass(frozen=True)
class History:
    """What the store knows about an incident and about the budgets."""

    incident: Incident
    alerts: Sequence[AlertInstance]
    steps: Sequence[Step]
    running: Sequence[Step]
    rollbacks: Sequence[Step]
    restarts: Sequence[Step]
    window: Window | None
    """The maintenance window that is open."""
    notes: Sequence[Event] = ()
    """What people have noted, the newest last."""
    approvals: Sequence[Approval] = ()
    """Of the incident, the oldest first."""
    evidence: Sequence[EvidenceFile] = ()
    """Of the incident, the oldest first."""
    stops: Sequence[Step] = ()
    """Emergency stops of late, of any incident."""
    picture: PictureFile | None = None
    """Of the signal that fired."""


def read_history(c: Connection, incident_id: int, now: datetime) -> History | None:
    """One consistent reading; None for an unknown incident."""
    incident = incidents.incident(c, incident_id)
    if incident is None:
        return None
    return History(
        incident=incident,
        alerts=incidents.alerts(c, incident_id),
        steps=steps.steps(c, incident_id),
        running=steps.running(c),
        rollbacks=steps.started(c, "rollback", now - timedelta(days=1)),
        restarts=steps.started(c, "restart", now - timedelta(hours=1)),
        window=windows.active(c, now),
        notes=hand.notes(c, incident_id),
        approvals=approvals.of_incident(c, incident_id),
        evidence=evidence.of_incident(c, incident_id),
        stops=steps.started(c, "emergency_stop", now - STOPS_REMEMBERED),
        picture=pictures.of_incident(c, incident_id),
    )
