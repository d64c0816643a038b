"""Webhooks in any order, steps that end in any way, time that passes: what the store must hold after each."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from receiver.deciding.policy import parse_policy
from receiver.hearing.alertmanager import Webhook, parse_webhook
from receiver.hearing.intake import Intake, accept
from receiver.records import SEVERITIES, Severity
from receiver.store import incidents, steps
from receiver.store.database import connect, migrate
from tests.parts.receiver_kit import policy_text

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
FLAP_WINDOW = timedelta(minutes=10)
ALERTS: dict[str, Severity] = {
    "ServiceDown": "critical",
    "NeedsRestart": "critical",
    "SoonAPerson": "critical",
    "Odd": "warning",
    "Deployed": "info",
}
ASKS = {"ServiceDown", "NeedsRestart", "SoonAPerson"}
SERVICES = ("a", "b")
INTAKE = Intake(
    policy=parse_policy(policy_text()),
    notifier="discord",
    flap_window=FLAP_WINDOW,
    minio_service=(),
)
Told = tuple[str, str, bool]
"""Name, service, whether it fires."""
TOLD = st.tuples(st.sampled_from(sorted(ALERTS)), st.sampled_from(SERVICES), st.booleans())


class Incidents(RuleBasedStateMachine):
    """The store beside a model of what fires and of what each arrival must mean."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="machine-"))
        self.c: Connection = connect(self.directory / "s.sqlite3")
        self.c.execute("PRAGMA synchronous = OFF")
        migrate(self.c)
        self.now = START
        self.firing: set[tuple[str, str]] = set()
        self.told: Counter[tuple[str, str]] = Counter()
        self.strays = 0

    def teardown(self) -> None:
        self.c.close()
        shutil.rmtree(self.directory)

    @rule(told=st.lists(TOLD, min_size=1, max_size=6))
    def a_webhook_arrives(self, told: list[Told]) -> None:
        firing_first = sorted(told, key=lambda one: not one[2])
        expected = [self._meaning(*one) for one in firing_first]
        self.c.execute("BEGIN IMMEDIATE")
        taken = accept(self.c, INTAKE, _body(told), self.now)
        self.c.execute("COMMIT")
        got = [decision.kind for _, decision in taken]
        assert len(got) == len(expected)
        for kind, allowed in zip(got, expected, strict=True):
            assert kind in allowed, (told, got, expected)

    def _meaning(self, name: str, service: str, fires: bool) -> tuple[str, ...]:
        """What it may mean by the contract, and what fires after it."""
        key = (name, service)
        if not fires:
            if key in self.firing:
                self.firing.discard(key)
                return ("end",)
            self.strays += 1
            return ("stray end",)
        self.told[key] += 1
        if key in self.firing:
            return ("repeat",)
        digest = ALERTS[name] == "info"
        with_me = [one for one in self.firing if one[1] == service and (ALERTS[one[0]] == "info") == digest]  # fmt: skip
        self.firing.add(key)
        if with_me:
            return ("join",)
        return self._alone(service, digest)

    def _alone(self, service: str, digest: bool) -> tuple[str, ...]:
        """Nothing else of its kind fires: the incident may wait for its end, have ended, or not be there."""
        row = self.c.execute(
            "SELECT state, resolved_at FROM incidents WHERE service = ? AND digest = ?"
            " ORDER BY state = 'resolved', resolved_at DESC LIMIT 1",
            (service, digest),
        ).fetchone()
        if row is None:
            return ("open", "join")  # one of the same body may have come before
        if row["state"] == "open":
            return ("join",)
        recent = row["resolved_at"] > (self.now - FLAP_WINDOW).timestamp()
        return ("reopen", "join") if recent else ("open", "join")

    @rule(minutes=st.sampled_from([0.1, 1.0, 5.0, 9.0, 11.0, 90.0]))
    def time_passes(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(well=st.booleans())
    def the_ends_are_looked_at(self, well: bool) -> None:
        """As the worker does it; ``well``: our own look agrees."""
        due = self.c.execute(
            "SELECT id FROM incidents WHERE state = 'open' AND check_at <= ?",
            (self.now.timestamp(),),
        ).fetchall()
        for (incident_id,) in due:
            fires = incidents.any_firing(self.c, incident_id)
            steps.drop_pending(self.c, incident_id, "over", self.now, keep_person=not well)
            resolved = well and incidents.resolve_incident(self.c, incident_id, "well", self.now)
            running = "running" in {s.state for s in steps.steps(self.c, incident_id)}
            assert not (resolved and (fires or running))

    @rule(data=st.data())
    @precondition(lambda self: self._in("pending"))
    def a_step_is_claimed(self, data: st.DataObject) -> None:
        step_id = data.draw(st.sampled_from(self._in("pending")))
        assert steps.claim_step(self.c, step_id, "phase", {}, self.now)
        assert not steps.claim_step(self.c, step_id, "phase", {}, self.now)

    @rule(data=st.data(), state=st.sampled_from(["done", "failed"]))
    @precondition(lambda self: self._in("running"))
    def a_step_ends(self, data: st.DataObject, state: str) -> None:
        step_id = data.draw(st.sampled_from(self._in("running")))
        steps.end_step(self.c, step_id, state, "as it went", self.now)

    @rule(data=st.data(), state=st.sampled_from(["refused", "dropped"]))
    @precondition(lambda self: self._in("pending"))
    def a_gate_says_no(self, data: st.DataObject, state: str) -> None:
        step_id = data.draw(st.sampled_from(self._in("pending")))
        steps.end_step(self.c, step_id, state, "a gate", self.now)

    def _in(self, state: str) -> list[int]:
        found = self.c.execute(
            "SELECT id FROM steps WHERE state = ? AND NOT (state = 'pending' AND action = 'rollback'"
            " AND EXISTS (SELECT 1 FROM steps AS other WHERE other.incident_id = steps.incident_id"
            " AND other.action = 'rollback' AND other.started_at IS NOT NULL)) ORDER BY id",
            (state,),
        )
        return [row["id"] for row in found]

    @invariant()
    def what_fires_is_what_was_told_last(self) -> None:
        found = self.c.execute(
            "SELECT name, labels ->> 'service' FROM alerts WHERE ended_at IS NULL"
        )
        assert Counter(tuple(row) for row in found) == Counter(self.firing)

    @invariant()
    def every_telling_is_counted(self) -> None:
        counted: Counter[tuple[str, str]] = Counter()
        for row in self.c.execute(
            "SELECT name, labels ->> 'service' AS service, repeats FROM alerts"
        ):
            counted[row["name"], row["service"]] += 1 + row["repeats"]
        assert counted == self.told
        lines = self.c.execute("SELECT words FROM events WHERE kind = 'stray end'")
        of_many = [re.search(r"\((\d+) alerts\)$", row["words"]) for row in lines]
        assert sum(int(found[1]) if found else 1 for found in of_many) == self.strays

    @invariant()
    def a_service_has_one_open_incident_of_each_kind(self) -> None:
        query = "SELECT count(*) FROM incidents WHERE state = 'open' GROUP BY service, digest"
        assert all(count == 1 for (count,) in self.c.execute(query))

    @invariant()
    def what_is_over_has_nothing_that_fires_or_runs(self) -> None:
        for incident in self._each("resolved"):
            assert not incidents.any_firing(self.c, incident.id)
            assert incident.resolved_at is not None
            assert "running" not in {step.state for step in steps.steps(self.c, incident.id)}

    @invariant()
    def an_incident_is_as_severe_as_its_worst_alert_was(self) -> None:
        for incident in self._each("open", "resolved"):
            worst = max(
                (a.severity for a in incidents.alerts(self.c, incident.id)), key=SEVERITIES.index
            )
            assert incident.severity == worst

    @invariant()
    def an_incident_has_at_most_one_rollback(self) -> None:
        query = "SELECT count(*) FROM steps WHERE action = 'rollback' AND started_at IS NOT NULL GROUP BY incident_id"
        assert all(count == 1 for (count,) in self.c.execute(query))

    @invariant()
    def a_step_waits_or_runs_once(self) -> None:
        query = "SELECT count(*) FROM steps WHERE state IN ('pending', 'running') GROUP BY incident_id, action, target"
        assert all(count == 1 for (count,) in self.c.execute(query))

    @invariant()
    def while_an_alert_asks_nothing_ends(self) -> None:
        for incident in self._each("open"):
            firing = {a.name for a in incidents.alerts(self.c, incident.id) if a.firing}
            if firing & ASKS and incident.check_at is not None:
                # It may have ended and come back in one body; then the check finds it firing.
                assert incident.check_at <= self.now
            if firing & ASKS:
                assert incident.ladder_at is not None
            if not firing:
                assert incident.check_at is not None, "nobody would ever look at its end"

    @invariant()
    def people_have_one_card_of_what_concerns_them(self) -> None:
        for incident in self._each("open", "resolved"):
            query = "SELECT count(*) FROM messages WHERE incident_id = ? AND kind = 'card'"
            (cards,) = self.c.execute(query, (incident.id,)).fetchone()
            assert cards == (0 if incident.digest else 1)

    def _each(self, *states: str) -> Iterator[Any]:
        return (one for one in incidents.incidents(self.c, 1000) if one.state in states)


def _body(told: list[Told]) -> Webhook:
    alerts = [
        {
            "status": "firing" if fires else "resolved",
            "labels": {"alertname": name, "severity": ALERTS[name], "service": service},
            "startsAt": "2026-03-01T01:59:00Z",
            "fingerprint": f"{service}/{name}",
        }
        for name, service, fires in told
    ]
    fixed = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "hook"}
    return parse_webhook(json.dumps({**fixed, "alerts": alerts}).encode())


TestIncidents = Incidents.TestCase
TestIncidents.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,  # the suite is the same each time
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
