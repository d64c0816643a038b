"""What a webhook changes: read how things stand, decide, write; all in the caller's transaction.

A body may have hundreds of alerts: they are decided one after the other, each knowing what those
before it did, and are written together. What is decided of one is decided of the next of its kind too
while nothing has changed that counts, so that a hundred cost little more than their rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from sqlite3 import Connection
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from receiver.deciding.decision import Decision, Standing, decide
from receiver.deciding.policy import Policy, Row
from receiver.hearing.alertmanager import Alert, Webhook
from receiver.hearing.trail import Line, counted, words_of
from receiver.records import SEVERITIES, Ring, Severity
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
    body = _Body(c, intake, firing_first, now)
    taken = [(alert, body.take(alert)) for alert in firing_first]
    body.write()
    if webhook.truncated_alerts:
        _note_truncation(c, webhook, now)
    return taken


@dataclass
class _Service:
    """A service as it stands while a body is decided."""

    open_incident: int | None
    recent_incident: int | None
    ladder_at: datetime | None
    digest: bool
    planned: set[tuple[str, str]] = field(default_factory=set)
    taken: dict[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """What the store says is taken, by the name of the alert that asks."""


@dataclass
class _Changes:
    """What a body changes about one incident itself."""

    severity: Severity = "info"
    begun: bool = False
    asks: bool = False
    """An alert that asks for steps has begun: nothing ends now."""
    ended: bool = False
    asked_ended: bool = False
    card: bool = False
    """News that makes a card where there is none."""
    ring: Ring = Ring.SILENT
    """How loudly a new card arrives."""
    again: Ring = Ring.SILENT
    """How loudly a card that is there already is heard of."""


class _Alike(NamedTuple):
    """What was decided of an alert, for the next one that differs in nothing that counts."""

    decision: Decision
    row: Row
    service: _Service
    incident_id: int
    ladder_at: datetime | None
    name: str
    severity: Severity
    event: Line


class _Body:
    """The alerts of one body: ``take`` each in turn, then ``write`` once."""

    def __init__(
        self, c: Connection, intake: Intake, alerts: Sequence[Alert], now: datetime
    ) -> None:
        self._c = c
        self._intake = intake
        self._now = now
        self._firing = incidents.firing_of(c, [alert.key for alert in alerts])
        self._services: dict[tuple[str, bool], _Service] = {}
        self._alike: dict[tuple[object, ...], _Alike] = {}
        self._changes: dict[int, _Changes] = {}
        self._begun: list[incidents.NewAlert] = []
        self._repeated: list[str] = []
        self._ended: list[str] = []
        self._events: Counter[Line] = Counter()

    def take(self, alert: Alert) -> Decision:
        """Decide about one alert."""
        labels = alert.labels
        key = alert.fingerprint or alert.key
        said = (labels.get("alertname"), labels.get("severity"), labels.get("service"))
        kind = (*said, alert.status, key in self._firing)
        alike = self._alike.get(kind)
        if alike is None or not self._holds(alike, labels):
            return self._take_anew(alert, kind)
        decision, _, _, incident_id, _, name, severity, event = alike
        if decision.kind == "repeat":
            self._repeated.append(key)
        else:
            self._join(incident_id, key, name, severity, alert, event)
        return decision

    def _holds(self, alike: _Alike, labels: Mapping[str, str]) -> bool:
        """Whether the service still stands as it did, and the table means the same row."""
        service = alike.service
        if service.open_incident != alike.incident_id or service.ladder_at != alike.ladder_at:
            return False
        policy = self._intake.policy
        return not policy.names(alike.name) or policy.row(labels, alike.severity) is alike.row

    def _take_anew(self, alert: Alert, kind: tuple[object, ...]) -> Decision:
        row = self._intake.policy.row(alert.labels, alert.severity)
        service = self._service(alert.service, digest=row.discord == "digest")
        decision = self._decide(alert, service)
        match decision.kind:
            case "heartbeat":
                if alert.status == "firing":
                    messages.beat(self._c, alert.name, self._now)
            case "stray end":
                self._events[None, "stray end", decision.reason] += 1
            case "repeat":
                self._repeated.append(alert.key)
                self._remember(kind, alert, decision, row, service)
            case "end":
                self._end(alert, decision, row)
            case "join" | "open" | "reopen":
                self._begin(alert, decision, service)
                if decision.kind == "join" and not row.steps:
                    self._remember(kind, alert, decision, row, service)
        return decision

    def _remember(
        self,
        kind: tuple[object, ...],
        alert: Alert,
        decision: Decision,
        row: Row,
        service: _Service,
    ) -> None:
        incident_id = service.open_incident
        if incident_id is not None:
            event = (incident_id, decision.kind, words_of(decision, self._now))
            stands = (service, incident_id, service.ladder_at)
            self._alike[kind] = _Alike(decision, row, *stands, alert.name, alert.severity, event)

    def _decide(self, alert: Alert, service: _Service) -> Decision:
        return decide(
            self._intake.policy,
            alert.name,
            alert.labels,
            alert.severity,
            firing=alert.status == "firing",
            standing=self._standing(alert, service),
            now=self._now,
            minio_service=self._intake.minio_service,
        )

    def write(self) -> None:
        """Instances, the audit trail, and each incident's own columns and card, once."""
        c, now = self._c, self._now
        if self._begun:
            incidents.add_alerts(c, self._begun, now)
        if self._repeated:
            incidents.repeat_alerts(c, self._repeated, now)
        if self._ended:
            incidents.end_alerts(c, self._ended, now)
        if self._events:
            messages.add_events(c, counted(self._events), now)
        for incident_id, changes in self._changes.items():
            self._change(incident_id, changes)

    def _service(self, name: str, *, digest: bool) -> _Service:
        service = self._services.get((name, digest))
        if service is None:
            found = incidents.present(
                self._c, name, self._now, self._intake.flap_window, digest=digest
            )
            service = _Service(found.open_incident, found.recent_incident, found.ladder_at, digest)
            self._services[name, digest] = service
        return service

    def _standing(self, alert: Alert, service: _Service) -> Standing:
        known = alert.key in self._firing
        taken: frozenset[tuple[str, str]] = frozenset()
        if not known and self._intake.policy.row(alert.labels, alert.severity).steps:
            taken = self._taken(alert.name, service)
        return Standing(
            known=known,
            open_incident=service.open_incident,
            recent_incident=service.recent_incident,
            ladder_at=service.ladder_at,
            taken=taken,
        )

    def _taken(self, alert: str, service: _Service) -> frozenset[tuple[str, str]]:
        incident_id = service.open_incident or service.recent_incident
        if incident_id is None:
            return frozenset()
        if alert not in service.taken:
            service.taken[alert] = incidents.taken(self._c, incident_id, service.ladder_at, alert)
        return service.taken[alert] | service.planned

    def _begin(self, alert: Alert, decision: Decision, service: _Service) -> None:
        incident_id = self._incident(alert, decision, service)
        if decision.row is None:
            raise ValueError(f"{decision.kind} without a row")
        event = (incident_id, decision.kind, words_of(decision, self._now))
        self._join(incident_id, alert.key, alert.name, alert.severity, alert, event)
        for planned in decision.steps:
            steps.add_step(self._c, incident_id, planned, alert.name)
            if not planned.ask:  # what only asks gives way to what comes by itself
                service.planned.add((planned.action, planned.target))
        if decision.ladder_at and decision.ladder_at != service.ladder_at:
            incidents.set_ladder(self._c, incident_id, decision.ladder_at)
            service.ladder_at = decision.ladder_at
        changes = self._changes.setdefault(incident_id, _Changes())
        self._note(changes, alert, decision, decision.row)

    def _join(
        self,
        incident_id: int,
        key: str,
        name: str,
        severity: Severity,
        alert: Alert,
        event: Line,
    ) -> None:
        self._firing[key] = incident_id
        told = (alert.labels, alert.annotations, alert.starts_at)
        self._begun.append(incidents.NewAlert(incident_id, key, name, severity, *told))
        self._events[event] += 1

    def _incident(self, alert: Alert, decision: Decision, service: _Service) -> int:
        """The incident that a firing alert belongs to, made or reopened where it must be."""
        if decision.kind == "open":
            service.open_incident = incidents.open_incident(
                self._c, alert.service, alert.severity, self._now, digest=service.digest
            )
        elif decision.kind == "reopen" and service.recent_incident is not None:
            incidents.reopen_incident(self._c, service.recent_incident)
            service.open_incident, service.recent_incident = service.recent_incident, None
        if service.open_incident is None:
            raise ValueError(f"{decision.kind} without an incident")
        return service.open_incident

    @staticmethod
    def _note(changes: _Changes, alert: Alert, decision: Decision, row: Row) -> None:
        changes.severity = max(changes.severity, alert.severity, key=SEVERITIES.index)
        changes.begun = True
        changes.asks = changes.asks or row.ladder
        changes.card = changes.card or row.discord != "digest"
        changes.ring = max(changes.ring, row.ring)
        if decision.rings and decision.kind != "open":
            changes.again = max(changes.again, row.ring)

    def _end(self, alert: Alert, decision: Decision, row: Row) -> None:
        incident_id = self._firing.pop(alert.key)
        self._ended.append(alert.key)
        self._events[incident_id, "end", decision.reason] += 1
        changes = self._changes.setdefault(incident_id, _Changes())
        changes.ended = True
        changes.asked_ended = changes.asked_ended or row.ladder

    def _change(self, incident_id: int, changes: _Changes) -> None:
        c, now = self._c, self._now
        if changes.begun and changes.severity != SEVERITIES[0]:
            incidents.worsen(c, incident_id, changes.severity)
        if changes.asks:
            incidents.set_check(c, incident_id, None)  # the ladder goes on, nothing ends now
        if changes.ended and (changes.asked_ended or not incidents.any_firing(c, incident_id)):
            incidents.set_check(c, incident_id, now)
        # An incident of nothing but digest alerts has no card.
        if changes.card or messages.card_exists(c, incident_id):
            messages.touch_card(c, incident_id, self._intake.notifier, changes.ring, now)
        if changes.again:
            quiet = self._intake.flap_window
            messages.ring_again(c, incident_id, self._intake.notifier, changes.again, now, quiet)


def _note_truncation(c: Connection, webhook: Webhook, now: datetime) -> None:
    services = {alert.service for alert in webhook.alerts}
    words = f"Alertmanager left {webhook.truncated_alerts} alerts out of its message (max_alerts)"
    for service in services:
        incident = incidents.open_of(c, service)
        if incident and incident.truncated != webhook.truncated_alerts:
            incidents.set_truncated(c, incident.id, webhook.truncated_alerts)
            messages.add_event(c, incident.id, "truncated", words, now)
