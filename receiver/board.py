"""What the board, its JSON and ``sermon-monitor incidents`` show: incidents as plain objects."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from receiver.situation import read_history
from receiver.store import incidents, messages, windows


def overview(c: Connection, now: datetime, limit: int = 50) -> list[dict[str, Any]]:
    """Open incidents first, then the newest ended ones, each whole."""
    return [whole(c, incident.id, now) for incident in incidents.incidents(c, limit)]


def maintenance(c: Connection, now: datetime) -> list[dict[str, Any]]:
    """Maintenance windows, the newest first."""
    return [
        {**asdict(one), "active": one.starts_at <= now < one.ends_at} for one in windows.windows(c)
    ]


def whole(c: Connection, incident_id: int, now: datetime) -> dict[str, Any]:
    """One incident with its alerts, steps and audit trail. Raises LookupError for an unknown one."""
    history = read_history(c, incident_id, now)
    if history is None:
        raise LookupError(f"no incident {incident_id}")
    return {
        **asdict(history.incident),
        "alerts": [{**asdict(alert), "firing": alert.firing} for alert in history.alerts],
        "steps": [asdict(step) for step in history.steps],
        "events": [asdict(event) for event in messages.events(c, incident_id)],
    }
