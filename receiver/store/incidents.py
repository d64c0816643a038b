"""SQL of incidents and their alerts. Every function that moves a state says from where."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import NamedTuple

from pydantic_core import to_json

from receiver.records import SEVERITIES, AlertInstance, Incident, Severity
from receiver.store import bulk, rows


def incident(c: Connection, incident_id: int) -> Incident | None:
    row = c.execute("SELECT * FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    return rows.to_incident(row) if row else None


def incidents(c: Connection, limit: int = 50) -> list[Incident]:
    """Open ones first, then the newest."""
    query = "SELECT * FROM incidents ORDER BY state = 'resolved', id DESC LIMIT ?"
    return [rows.to_incident(row) for row in c.execute(query, (limit,))]


def open_incidents(c: Connection) -> list[Incident]:
    """The critical ones first, then the newest."""
    query = "SELECT * FROM incidents WHERE state = 'open' ORDER BY severity <> 'critical', id DESC"
    return [rows.to_incident(row) for row in c.execute(query)]


def ended(c: Connection, limit: int, before: int | None = None) -> list[Incident]:
    """The newest first; ``before``: only those with a smaller id."""
    found = c.execute(
        "SELECT * FROM incidents WHERE state = 'resolved' AND (:before IS NULL OR id < :before)"
        " ORDER BY id DESC LIMIT :limit",
        {"before": before, "limit": limit},
    )
    return [rows.to_incident(row) for row in found]


def open_of(c: Connection, service: str) -> Incident | None:
    """The one open incident of a service, that of its digest aside."""
    row = c.execute(
        "SELECT * FROM incidents WHERE service = ? AND state = 'open' AND digest = 0", (service,)
    ).fetchone()
    return rows.to_incident(row) if row else None


def firing_of(c: Connection, fingerprints: Sequence[str]) -> dict[str, int]:
    """Incident by fingerprint, of those that have an open instance."""
    query = (
        "SELECT fingerprint, incident_id FROM json_each(?) AS asked"
        " JOIN alerts ON alerts.fingerprint = asked.value AND ended_at IS NULL"
    )
    return dict(tuple(row) for row in c.execute(query, (json.dumps(fingerprints),)))


@dataclass(frozen=True)
class Present:
    """How a service stands: its open incident, or the one that ended within the flap window."""

    open_incident: int | None
    recent_incident: int | None
    ladder_at: datetime | None


def present(
    c: Connection, service: str, now: datetime, flap_window: timedelta, *, digest: bool = False
) -> Present:
    """``digest``: how its incident of what is only for the digest stands."""
    current = c.execute(
        "SELECT id, ladder_at FROM incidents WHERE service = ? AND state = 'open' AND digest = ?",
        (service, digest),
    ).fetchone()
    if current:
        return Present(current["id"], None, rows.to_at(current["ladder_at"]))
    recent = c.execute(
        "SELECT id FROM incidents WHERE service = ? AND state = 'resolved' AND resolved_at > ? AND digest = ? ORDER BY resolved_at DESC LIMIT 1",
        (service, (now - flap_window).timestamp(), digest),
    ).fetchone()
    return Present(None, recent["id"] if recent else None, None)


def taken(
    c: Connection, incident_id: int, ladder_at: datetime | None, alert: str
) -> frozenset[tuple[str, str]]:
    """Steps that are not planned again: those that wait or run, the one rollback that an incident
    may have, what this ladder has done or refused to the same alert, and what a person would not
    approve for it. One that waits for an approval gives way to the same that comes by itself."""
    found = c.execute(
        "SELECT action, target FROM steps WHERE incident_id = :id AND (state = 'running'"
        " OR (state = 'pending' AND asks = 0)"
        " OR (action = 'rollback' AND started_at IS NOT NULL)"
        " OR (due_at >= :ladder AND state IN ('done', 'failed'))"
        " OR (due_at >= :ladder AND state = 'refused' AND alert = :alert)"
        " OR (state = 'refused' AND alert = :alert AND EXISTS (SELECT 1 FROM approvals"
        " WHERE step_id = steps.id AND approvals.state IN ('denied', 'expired'))))",
        {
            "id": incident_id,
            "ladder": ladder_at.timestamp() if ladder_at else None,
            "alert": alert,
        },
    )
    return frozenset((row["action"], row["target"]) for row in found)


def open_incident(
    c: Connection, service: str, severity: Severity, now: datetime, *, digest: bool = False
) -> int:
    cursor = c.execute(
        "INSERT INTO incidents (service, state, severity, opened_at, digest) VALUES (?, 'open', ?, ?, ?) RETURNING id",
        (service, severity, now.timestamp(), digest),
    )
    return int(cursor.fetchone()["id"])


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
        " AND NOT EXISTS (SELECT 1 FROM steps WHERE incident_id = incidents.id AND state = 'running' AND action <> 'investigate')",
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


_ALERT_COLUMNS = (
    "incident_id",
    "fingerprint",
    "name",
    "severity",
    "labels",
    "annotations",
    "starts_at",
    "first_seen",
    "last_seen",
)


class NewAlert(NamedTuple):
    """A firing that is news."""

    incident_id: int
    fingerprint: str
    name: str
    severity: Severity
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime


def add_alerts(c: Connection, alerts: Iterable[NewAlert], now: datetime) -> None:
    at = now.timestamp()
    found = [
        (
            *one[:4],
            to_json(one.labels).decode(),
            to_json(one.annotations).decode(),
            one.starts_at.timestamp(),
            at,
            at,
        )
        for one in alerts
    ]
    bulk.insert(c, "alerts", _ALERT_COLUMNS, found)


def repeat_alerts(c: Connection, fingerprints: Iterable[str], now: datetime) -> None:
    """Count a repeat of each open instance, as often as it is named."""
    c.execute(
        "UPDATE alerts SET repeats = repeats + told.times, last_seen = ?"
        " FROM (SELECT value, count(*) AS times FROM json_each(?) GROUP BY value) AS told"
        " WHERE fingerprint = told.value AND ended_at IS NULL",
        (now.timestamp(), json.dumps(list(fingerprints))),
    )


def end_alerts(c: Connection, fingerprints: Iterable[str], now: datetime) -> None:
    """firing -> ended."""
    c.execute(
        "UPDATE alerts SET ended_at = :at, last_seen = :at"
        " WHERE fingerprint IN (SELECT value FROM json_each(:keys)) AND ended_at IS NULL",
        {"at": now.timestamp(), "keys": json.dumps(list(fingerprints))},
    )


def critical_fires(c: Connection, own_host: str = "") -> bool:
    """Whether any critical alert fires about what is watched: trouble of the pipeline's own says nothing of it.

    ``own_host``: OWN_HOST; nor does that of another host.
    """
    query = (
        "SELECT 1 FROM alerts WHERE ended_at IS NULL AND severity = 'critical'"
        " AND coalesce(labels ->> 'category', '') <> 'pipeline' AND coalesce(labels ->> 'host', '') IN ('', ?) LIMIT 1"
    )
    return c.execute(query, (own_host,)).fetchone() is not None
