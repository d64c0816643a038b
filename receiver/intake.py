"""What a webhook changes: read the standing, decide, write; all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from sqlite3 import Connection

from pydantic import BaseModel, ConfigDict

from receiver.alertmanager import Alert, Webhook
from receiver.policy import Decision, Policy, decide
from receiver.store import incidents, messages, steps


class Intake(BaseModel):
    """What of the settings an arriving webhook needs."""

    model_config = ConfigDict(frozen=True)

    policy: Policy
    notifier: str
    flap_window: timedelta
    minio_service: Sequence[str]


def accept(
    c: Connection, intake: Intake, webhook: Webhook, now: datetime
) -> list[tuple[Alert, Decision]]:
    """Take every alert of a body, the firing ones first.

    A firing alert that joins keeps an incident open which another alert of the same body would
    otherwise end for a moment. Returns each alert with what was decided for it.
    """
    firing_first = sorted(webhook.alerts, key=lambda alert: alert.status != "firing")
    taken = [(alert, _take(c, intake, alert, now)) for alert in firing_first]
    if webhook.truncated_alerts:
        _note_truncation(c, webhook, now)
    return taken


def _take(c: Connection, intake: Intake, alert: Alert, now: datetime) -> Decision:
    standing = incidents.standing(c, alert.key, alert.service, alert.name, now, intake.flap_window)
    decision = decide(
        intake.policy,
        alert.name,
        alert.labels,
        alert.severity,
        firing=alert.status == "firing",
        standing=standing,
        now=now,
        minio_service=intake.minio_service,
    )
    match decision.kind:
        case "heartbeat":
            if alert.status == "firing":
                messages.beat(c, alert.name, now)
        case "stray end":
            messages.add_event(c, None, "stray end", decision.reason, now)
        case "repeat":
            incidents.repeat_alert(c, alert.key, now)
        case "end":
            _end(c, intake, alert, decision, now)
        case "join":
            _begin(c, intake, alert, decision, standing.open_incident or 0, now)
        case "reopen":
            incidents.reopen_incident(c, standing.recent_incident or 0)
            _begin(c, intake, alert, decision, standing.recent_incident or 0, now)
        case "open":
            incident_id = incidents.open_incident(c, alert.service, alert.severity, now)
            _begin(c, intake, alert, decision, incident_id, now)
    return decision


def _begin(
    c: Connection, intake: Intake, alert: Alert, decision: Decision, incident_id: int, now: datetime
) -> None:
    incidents.add_alert(
        c,
        incident_id,
        fingerprint=alert.key,
        name=alert.name,
        severity=alert.severity,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        now=now,
    )
    incidents.worsen(c, incident_id, alert.severity)
    if decision.row and decision.row.steps:
        incidents.set_check(c, incident_id, None)  # the ladder goes on, nothing ends now
    if decision.ladder_at:
        incidents.set_ladder(c, incident_id, decision.ladder_at)
    for planned in decision.steps:
        steps.add_step(c, incident_id, planned, alert.name)
    messages.add_event(c, incident_id, decision.kind, decision.reason, now)
    _tell(c, intake, incident_id, decision, now)


def _end(c: Connection, intake: Intake, alert: Alert, decision: Decision, now: datetime) -> None:
    incident_id = incidents.end_alert(c, alert.key, now)
    messages.add_event(c, incident_id, "end", decision.reason, now)
    asked = intake.policy.asks(alert.labels, alert.severity)
    if asked or not incidents.any_firing(c, incident_id):
        incidents.set_check(c, incident_id, now)
    _tell(c, intake, incident_id, decision, now)


def _tell(
    c: Connection, intake: Intake, incident_id: int, decision: Decision, now: datetime
) -> None:
    """News for the card. An incident of nothing but digest alerts has none."""
    row = decision.row
    if (row and row.discord != "digest") or messages.card_exists(c, incident_id):
        messages.touch_card(c, incident_id, intake.notifier, bool(row and row.mention), now)
    if decision.rings and decision.kind != "open":
        messages.ring_again(c, incident_id, intake.notifier, now, intake.flap_window)


def _note_truncation(c: Connection, webhook: Webhook, now: datetime) -> None:
    services = {alert.service for alert in webhook.alerts}
    words = f"Alertmanager left {webhook.truncated_alerts} alerts out of its message (max_alerts)"
    for service in services:
        incident = incidents.open_of(c, service)
        if incident and incident.truncated != webhook.truncated_alerts:
            incidents.set_truncated(c, incident.id, webhook.truncated_alerts)
            messages.add_event(c, incident.id, "truncated", words, now)
