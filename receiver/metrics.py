"""The receiver's own counters and gauges, in the process's registry."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from receiver.deciding.gates import GATE_NAMES
from receiver.records import SEVERITIES
from receiver.store import figures as store_figures
from receiver.store.database import Database, StoreError

if TYPE_CHECKING:
    from receiver.clock import Clock

WEBHOOK_OUTCOMES = (
    "accepted",
    "unauthorized",
    "too_large",
    "wrong_type",
    "invalid",
    "unavailable",
    "busy",
)
GITHUB_WEBHOOK_OUTCOMES = ("accepted", "ignored", "repeat", "unauthorized", "invalid", "unavailable", "busy")  # fmt: skip
ACTIONS = ("restart", "rollback", "cleanup", "emergency_stop", "person", "investigate")
APPROVAL_OUTCOMES = ("shown", "granted", "denied", "refused")
HEARTBEAT_OUTCOMES = ("sent", "failed", "withheld")
RECONCILIATION_OUTCOMES = ("done", "early", "unreachable", "invalid", "unavailable")


class Metrics:
    """Counters exist at 0 for every known label set from the start."""

    def __init__(self, registry: CollectorRegistry, notifiers: Iterable[str]) -> None:
        self.webhooks = Counter(
            "sermon_monitor_webhooks",
            "Webhook requests of Alertmanager, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.alerts = Counter(
            "sermon_monitor_alerts",
            "Alerts in accepted webhooks, repeats included.",
            ["status", "severity"],
            registry=registry,
        )
        self.notifications = Counter(
            "sermon_monitor_notifications",
            "Attempts to tell people, by what became of them.",
            ["notifier", "outcome"],
            registry=registry,
        )
        self.actions = Counter(
            "sermon_monitor_actions",
            "Steps that were begun, by how they ended.",
            ["action", "outcome"],
            registry=registry,
        )
        self.refusals = Counter(
            "sermon_monitor_gate_refusals",
            "Steps that a gate did not let pass (refused, dropped or made to wait), once for each new reason.",
            ["gate"],
            registry=registry,
        )
        self.heartbeats = Counter(
            "sermon_monitor_heartbeats",
            "Signs of life for HEARTBEAT_URL, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.reconciliations = Counter(
            "sermon_monitor_reconciliations",
            "Comparisons with what Alertmanager lists, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.approval_pages = Counter(
            "sermon_monitor_approval_pages",
            "Requests of approval links, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        self.github_webhooks = Counter(
            "sermon_monitor_github_webhooks",
            "Webhook requests of GitHub, by what became of them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in GITHUB_WEBHOOK_OUTCOMES:
            self.github_webhooks.labels(outcome)
        for outcome in APPROVAL_OUTCOMES:
            self.approval_pages.labels(outcome)
        for outcome in HEARTBEAT_OUTCOMES:
            self.heartbeats.labels(outcome)
        for outcome in RECONCILIATION_OUTCOMES:
            self.reconciliations.labels(outcome)
        for outcome in WEBHOOK_OUTCOMES:
            self.webhooks.labels(outcome)
        for severity in SEVERITIES:
            for status in ("firing", "resolved"):
                self.alerts.labels(status, severity)
        for notifier in notifiers:
            for outcome in ("sent", "retried", "failed", "dropped"):
                self.notifications.labels(notifier, outcome)
        for action in ACTIONS:
            for outcome in ("done", "failed"):
                self.actions.labels(action, outcome)
        for gate in GATE_NAMES:
            self.refusals.labels(gate)

    def refused_by_store(self) -> float:
        """How many webhooks could not be taken so far: by the store, or because of their number."""
        return sum(
            sample.value
            for family in self.webhooks.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
            and sample.labels["outcome"] in ("unavailable", "busy")
        )


class StoreGauges(Collector):
    """Reads the file itself at each scrape, beside the writer, so that it cannot be stale."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: sqlite3.Connection | None = None

    def collect(self) -> Iterable[Metric]:
        """Nothing where the store cannot be read: no sample is truer than an old one; /readyz says why."""
        if self._database.trouble is not None:
            self.close()
            return []
        try:
            figures = self._read()
        except (StoreError, sqlite3.Error):
            self.close()
            return []
        return list(_families(figures, self._clock.now()))

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _read(self) -> store_figures.Figures:
        """Over one kept connection: to open one costs more than to ask it."""
        if self._kept is None:
            self._kept = self._database.reader()
        self._kept.execute("BEGIN")
        try:
            return store_figures.figures(self._kept)
        finally:
            self._kept.execute("COMMIT")  # a reading that stays open keeps the WAL from shrinking


def _families(figures: store_figures.Figures, now: datetime) -> Iterable[Metric]:
    depth = GaugeMetricFamily(
        "sermon_monitor_outbox_depth", "Messages to people that wait to be sent."
    )
    depth.add_metric([], figures.outbox_depth)
    yield depth
    waiting = GaugeMetricFamily(
        "sermon_monitor_approvals_waiting", "Questions that wait for a person's approval."
    )
    waiting.add_metric([], figures.approvals)
    yield waiting
    oldest = GaugeMetricFamily(
        "sermon_monitor_outbox_oldest_seconds",
        "How long the oldest unsent news has waited; 0 with an empty outbox.",
    )
    since = figures.outbox_since
    oldest.add_metric([], max(0.0, (now - since).total_seconds()) if since else 0.0)
    yield oldest
    open_ = GaugeMetricFamily(
        "sermon_monitor_incidents_open", "Open incidents.", labels=["severity"]
    )
    for severity in SEVERITIES:
        open_.add_metric([severity], figures.open.get(severity, 0))
    yield open_
    if figures.heartbeat:
        beat = GaugeMetricFamily(
            "sermon_monitor_watchdog_last_seen_timestamp_seconds",
            "When the Watchdog alert last arrived.",
        )
        beat.add_metric([], figures.heartbeat.timestamp())
        yield beat
