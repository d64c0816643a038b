"""SQL of incidents and their alerts. Every function that moves a state says from where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.policy import Standing
from receiver.records import SEVERITIES, AlertInstance, Incident, Severity
from receiver.store import rows


def incident(c: Connection, incident_id: int) -> Incident | None:
    row = c.execute("SELECT * FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    return rows.to_incident(row) if row else None


def incidents(c: Connection, limit: int = 50) -> list[Incident]:
    """Open ones first, then the newest."""
    query = "SELECT * FROM incidents ORDER BY state = 'resolved', id DESC LIMIT ?"
    return [rows.to_incident(row) for row in c.execute(query, (limit,))]


def open_of(c: Connection, service: str) -> Incident | None:
    """The one open incident of a service."""
    row = c.execute(
        "SELECT * FROM incidents WHERE service = ? AND state = 'open'", (service,)
    ).fetchone()
    return rows.to_incident(row) if row else None


def standing(
    c: Connection,
    fingerprint: str,
    service: str,
    alert: str,
    now: datetime,
    flap_window: timedelta,
) -> Standing:
    """What decide() must know when an alert named ``alert`` arrives."""
    known = c.execute(
        "SELECT 1 FROM alerts WHERE fingerprint = ? AND ended_at IS NULL", (fingerprint,)
    ).fetchone()
    current = c.execute(
        "SELECT * FROM incidents WHERE service = ? AND state = 'open'", (service,)
    ).fetchone()
    recent = None
    if current is None:
        recent = c.execute(
            "SELECT * FROM incidents WHERE service = ? AND state = 'resolved' AND resolved_at > ? ORDER BY resolved_at DESC LIMIT 1",
            (service, (now - flap_window).timestamp()),
        ).fetchone()
    row = current or recent
    ladder_at = current["ladder_at"] if current else None
    return Standing(
        known=known is not None,
        open_incident=current["id"] if current else None,
        recent_incident=recent["id"] if recent else None,
        ladder_at=rows.to_at(ladder_at),
        taken=_taken(c, row["id"], ladder_at, alert) if row else frozenset(),
    )


def _taken(
    c: Connection, incident_id: int, ladder_at: float | None, alert: str
) -> frozenset[tuple[str, str]]:
    """Steps that are not planned again: those that wait or run, the one rollback that an incident
    may have, and what this ladder has done or refused to the same alert."""
    found = c.execute(
        "SELECT action, target FROM steps WHERE incident_id = :id AND (state IN ('pending', 'running')"
        " OR (action = 'rollback' AND started_at IS NOT NULL)"
        " OR (due_at >= :ladder AND state IN ('done', 'failed'))"
        " OR (due_at >= :ladder AND state = 'refused' AND alert = :alert))",
        {"id": incident_id, "ladder": ladder_at, "alert": alert},
    )
    return frozenset((row["action"], row["target"]) for row in found)


def open_incident(c: Connection, service: str, severity: Severity, now: datetime) -> int:
    cursor = c.execute(
        "INSERT INTO incidents (service, state, severity, opened_at) VALUES (?, 'open', ?, ?)",
        (service, severity, now.timestamp()),
    )
    return int(cursor.lastrowid or 0)


def reopen_incident(c: Connection, incident_id: int) -> None:
    """resolved -> open."""
    c.execute(
        "UPDATE incidents SET state = 'open', resolved_at = NULL, check_at = NULL, ladder_at = NULL, verdict = '',"
        " reopened = reopened + 1"
        " WHERE id = ? AND state = 'resolved'",
        (incident_id,),
    )


def resolve_incident(c: Connection, incident_id: int, verdict: str, now: datetime) -> bool:
    """open -> resolved, only while none of its alerts fires and none of its steps runs."""
    done = c.execute(
        "UPDATE incidents SET state = 'resolved', resolved_at = ?, check_at = NULL, verdict = ? WHERE id = ? AND state = 'open'"
        " AND NOT EXISTS (SELECT 1 FROM alerts WHERE incident_id = incidents.id AND ended_at IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM steps WHERE incident_id = incidents.id AND state = 'running')",
        (now.timestamp(), verdict, incident_id),
    )
    return done.rowcount == 1


def worsen(c: Connection, incident_id: int, severity: Severity) -> None:
    """An incident is as severe as its worst alert ever was."""
    milder = SEVERITIES[: SEVERITIES.index(severity)]
    c.execute(
        "UPDATE incidents SET severity = ? WHERE id = ?"
        " AND severity IN (SELECT value FROM json_each(?))",
        (severity, incident_id, json.dumps(milder)),
    )


def set_ladder(c: Connection, incident_id: int, at: datetime | None) -> None:
    """The zero of the ladder's times; None: no alert that asks for steps fires."""
    c.execute(
        "UPDATE incidents SET ladder_at = ? WHERE id = ?",
        (at.timestamp() if at else None, incident_id),
    )


def set_verdict(c: Connection, incident_id: int, verdict: str) -> None:
    c.execute("UPDATE incidents SET verdict = ? WHERE id = ?", (verdict, incident_id))


def set_check(c: Connection, incident_id: int, at: datetime | None) -> None:
    """When the worker next asks whether an incident is over."""
    c.execute(
        "UPDATE incidents SET check_at = ? WHERE id = ?",
        (at.timestamp() if at else None, incident_id),
    )


def set_truncated(c: Connection, incident_id: int, count: int) -> None:
    c.execute("UPDATE incidents SET truncated = ? WHERE id = ?", (count, incident_id))


def alerts(c: Connection, incident_id: int) -> list[AlertInstance]:
    query = (
        "SELECT * FROM alerts WHERE incident_id = ? ORDER BY ended_at IS NOT NULL, first_seen, id"
    )
    return [rows.to_alert(row) for row in c.execute(query, (incident_id,))]


def any_firing(c: Connection, incident_id: int) -> bool:
    row = c.execute(
        "SELECT 1 FROM alerts WHERE incident_id = ? AND ended_at IS NULL LIMIT 1", (incident_id,)
    ).fetchone()
    return row is not None


def add_alert(
    c: Connection,
    incident_id: int,
    *,
    fingerprint: str,
    name: str,
    severity: Severity,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    starts_at: datetime,
    now: datetime,
) -> None:
    c.execute(
        "INSERT INTO alerts (incident_id, fingerprint, name, severity, labels, annotations, starts_at, first_seen, last_seen)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            incident_id,
            fingerprint,
            name,
            severity,
            json.dumps(dict(labels)),
            json.dumps(dict(annotations)),
            starts_at.timestamp(),
            now.timestamp(),
            now.timestamp(),
        ),
    )


def repeat_alert(c: Connection, fingerprint: str, now: datetime) -> int:
    """Count a repeat of an open instance. Returns its incident."""
    row = c.execute(
        "UPDATE alerts SET repeats = repeats + 1, last_seen = ? WHERE fingerprint = ? AND ended_at IS NULL RETURNING incident_id",
        (now.timestamp(), fingerprint),
    ).fetchone()
    return int(row["incident_id"])


def end_alert(c: Connection, fingerprint: str, now: datetime) -> int:
    """firing -> ended. Returns its incident."""
    row = c.execute(
        "UPDATE alerts SET ended_at = ?, last_seen = ? WHERE fingerprint = ? AND ended_at IS NULL RETURNING incident_id",
        (now.timestamp(), now.timestamp(), fingerprint),
    ).fetchone()
    return int(row["incident_id"])


def critical_fires(c: Connection) -> bool:
    """Whether any critical alert fires, of whatever service."""
    query = "SELECT 1 FROM alerts WHERE ended_at IS NULL AND severity = 'critical' LIMIT 1"
    return c.execute(query).fetchone() is not None
