"""What the board, its JSON and ``sermon-monitor incidents`` show: incidents as plain objects."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from receiver.approving.wording import title
from receiver.records import Approval
from receiver.store import approvals as approval_rows
from receiver.store import evidence as evidence_rows
from receiver.store import incidents, messages, windows
from receiver.store.history import read_history
from target.versions import Ledger


def overview(c: Connection, now: datetime, limit: int = 50) -> list[dict[str, Any]]:
    """Open incidents first, then the newest ended ones, each whole."""
    return [whole(c, incident.id, now) for incident in incidents.incidents(c, limit)]


def maintenance(c: Connection, now: datetime) -> list[dict[str, Any]]:
    """Maintenance windows, the newest first."""
    return [
        {**asdict(one), "active": one.starts_at <= now < one.ends_at} for one in windows.windows(c)
    ]


def approvals(c: Connection, limit: int = 50) -> list[dict[str, Any]]:
    """What people are or were asked to approve, open ones first. No link is in it."""
    return [_approval(one) for one in approval_rows.approvals(c, limit)]


def deployments(ledger: Ledger) -> list[dict[str, Any]]:
    """What ran when, the newest first, each with its verdict and whether it runs."""
    return [
        {**asdict(one), "title": one.title, "running": one.until is None}
        for one in reversed(ledger.releases)
    ]


def _approval(one: Approval) -> dict[str, Any]:
    return {**asdict(one), "title": title(one), "open": one.open}


def evidence(c: Connection, incident_id: int) -> list[dict[str, Any]]:
    """What was collected for an incident, each with its whole text."""
    texts = evidence_rows.texts(c, incident_id)
    return [
        {**asdict(one), "text": texts.get(one.id, "")}
        for one in evidence_rows.of_incident(c, incident_id)
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
        "approvals": [_approval(one) for one in history.approvals],
        "evidence": [asdict(one) for one in history.evidence],
        "picture": asdict(history.picture) if history.picture else None,
        "events": [asdict(event) for event in messages.events(c, incident_id)],
    }
