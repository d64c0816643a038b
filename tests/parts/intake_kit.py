"""One store, a clock in hand, and what arrives: for stories about webhooks."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

from receiver.deciding.policy import parse_policy
from receiver.hearing.alertmanager import parse_webhook
from receiver.hearing.intake import Intake, accept
from receiver.records import AlertInstance, Incident
from receiver.store import incidents, steps

SHIPPED = parse_policy(resources.files("monitoring").joinpath("policy.yml").read_text("utf-8"))
INTAKE = Intake(
    policy=SHIPPED,
    notifier="discord",
    flap_window=timedelta(minutes=10),
    minio_service=("minio",),
)


class FakeClock:
    """Moves when the story says so."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_by(self, **span: float) -> datetime:
        self.moment += timedelta(**span)
        return self.moment


class Story:
    """One store and what arrives at it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.c = connection
        self.clock = FakeClock()

    def take(self, body: bytes | dict[str, Any]) -> list[str]:
        """What was decided for each alert, the firing ones first."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.c.execute("BEGIN IMMEDIATE")
        taken = accept(self.c, INTAKE, parse_webhook(text), self.clock.now())
        self.c.execute("COMMIT")
        return [decision.kind for _, decision in taken]

    def fires(self, name: str, severity: str = "critical", /, **labels: str) -> str:
        return self.take(body_of(alert(name, "firing", severity, **labels)))[0]

    def ends(self, name: str, severity: str = "critical", /, **labels: str) -> str:
        return self.take(body_of(alert(name, "resolved", severity, **labels)))[0]

    def over(self) -> None:
        """As the worker does it once its own look agrees."""
        assert incidents.resolve_incident(self.c, self.incident.id, "well", self.clock.now())

    @property
    def all(self) -> list[Incident]:
        return incidents.incidents(self.c)

    @property
    def incident(self) -> Incident:
        (only,) = self.all
        return only

    @property
    def alerts(self) -> list[AlertInstance]:
        return incidents.alerts(self.c, self.incident.id)

    def steps(self) -> list[tuple[str, str, float]]:
        """Action, state, and seconds after the incident was opened."""
        zero = self.incident.opened_at
        found = steps.steps(self.c, self.incident.id)
        return [(s.action, s.state, (s.due_at - zero).total_seconds()) for s in found]

    def messages(self) -> list[tuple[str, bool]]:
        """Kind, and whether it rings."""
        found = self.c.execute("SELECT kind, ping FROM messages ORDER BY id")
        return [(row["kind"], bool(row["ping"])) for row in found]

    def events(self) -> list[str]:
        return [row["kind"] for row in self.c.execute("SELECT kind FROM events ORDER BY id")]


def alert(name: str, status: str, severity: str = "critical", /, **labels: str) -> dict[str, Any]:
    every = {"alertname": name, "severity": severity, "service": "sermon-uploader", **labels}
    key = "-".join(every[k] for k in sorted(every))
    return {
        "status": status,
        "labels": every,
        "annotations": {"summary": f"{name} happens"},
        "startsAt": "2026-03-01T01:59:00Z",
        "fingerprint": key[:128],
    }


def body_of(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    fixed = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "hook"}
    return {**fixed, "alerts": list(alerts), **more}
