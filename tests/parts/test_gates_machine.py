"""Steps that come and go, windows, budgets, time: whatever the order, the gates let nothing through that they must not."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import MagicMock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from receiver.deciding import gates
from receiver.deciding.decision import PlannedStep
from receiver.deciding.gates import Budget, Confirmation, Facts, Switches, Target
from receiver.deciding.situation import Lookout
from receiver.maintenance.windows import words_of
from receiver.records import Step
from receiver.settings import ReceiverSettings
from receiver.store import incidents, steps, windows
from receiver.store.database import connect, migrate
from receiver.store.history import History, read_history

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
COOLDOWN, DAY, HOUR = timedelta(minutes=30), timedelta(days=1), timedelta(hours=1)
ROLLBACKS_A_DAY = RESTARTS_AN_HOUR = 3
NOT_ASKED: Any = MagicMock(name="not asked")
"""The rest of what a Lookout knows is not needed for a budget."""


class Begun(NamedTuple):
    action: str
    incident: int
    at: datetime


class Gates(RuleBasedStateMachine):
    """A deployment's steps on a real store; what was begun is written down apart."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="machine-"))
        self.c = connect(self.directory / "s.sqlite3")
        self.c.execute("PRAGMA synchronous = OFF")
        migrate(self.c)
        self.now = START
        self.begun: list[Begun] = []
        self.windows: list[tuple[datetime, datetime]] = []
        self.sick: bool | None = True
        self.firing = 1
        self.lookout = Lookout(ReceiverSettings(), NOT_ASKED, NOT_ASKED, NOT_ASKED)

    def teardown(self) -> None:
        self.c.close()
        shutil.rmtree(self.directory)

    @rule(minutes=st.sampled_from([0.5, 5.0, 29.0, 31.0, 59.0, 61.0, 600.0]))
    def time_passes(self, minutes: float) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(sick=st.sampled_from([True, True, True, False, None]))
    def the_deployment_changes(self, sick: bool | None) -> None:
        self.sick = sick

    @rule(firing=st.sampled_from([0, 1, 3]))
    def alerts_come_and_go(self, firing: int) -> None:
        self.firing = firing

    @rule(minutes=st.sampled_from([1, 10, 45]))
    def a_window_opens(self, minutes: int) -> None:
        ends = self.now + timedelta(minutes=minutes)
        windows.open_window(self.c, self.now, ends, "updates", "person", self.now)
        self.windows.append((self.now, ends))

    @rule()
    def windows_are_ended(self) -> None:
        windows.end_windows(self.c, self.now)
        self.windows = [(a, min(b, self.now)) for a, b in self.windows]

    @rule(service=st.sampled_from("abc"), rollback=st.booleans())
    def a_step_is_planned(self, service: str, rollback: bool) -> None:
        found = incidents.open_of(self.c, service)
        number = (
            found.id if found else incidents.open_incident(self.c, service, "critical", self.now)
        )
        action = "rollback" if rollback else "restart"
        steps.add_step(self.c, number, PlannedStep(action, "app", self.now), "ServiceDown")

    @rule(service=st.sampled_from("abc"))
    def an_incident_ends(self, service: str) -> None:
        if found := incidents.open_of(self.c, service):
            steps.drop_pending(self.c, found.id, "over", self.now)
            incidents.resolve_incident(self.c, found.id, "well", self.now)

    @rule(state=st.sampled_from(["done", "failed"]))
    @precondition(lambda self: bool(steps.running(self.c)))
    def what_runs_ends(self, state: str) -> None:
        steps.end_step(self.c, steps.running(self.c)[0].id, state, "as it went", self.now)

    @rule(data=st.data())
    @precondition(lambda self: bool(self._pending()))
    def a_step_is_judged(self, data: st.DataObject) -> None:
        """As the worker does it: what passes every gate is claimed."""
        step = data.draw(st.sampled_from(self._pending()))
        history = read_history(self.c, step.incident_id, self.now)
        assert history is not None
        facts = self._facts(step, history)
        verdict = gates.judge(facts)
        every = gates.judge_all(facts)
        assert (verdict.outcome == "pass") == all(one.outcome == "pass" for one in every)
        assert (verdict.outcome == "pass") == self._allowed(step), verdict
        if verdict.outcome == "pass":
            assert steps.claim_step(self.c, step.id, "", {}, self.now)
            self.begun.append(Begun(step.action, step.incident_id, self.now))
        elif verdict.outcome in ("refuse", "drop"):
            state = "refused" if verdict.outcome == "refuse" else "dropped"
            steps.end_step(self.c, step.id, state, verdict.reason, self.now)

    def _facts(self, step: Step, history: History) -> Facts:
        running = [one for one in history.running if one.id != step.id]
        return Facts(
            now=self.now,
            action=step.action,
            alert=step.alert,
            category="health",
            confirm="probe",
            alerts_firing=self.firing,
            alertmanager_says=None,
            switches=Switches(True, True, True, True, dry_run=False),
            confirmation=Confirmation(self.sick, "as it is"),
            budget=self._budget(history),
            in_flight=f"a {running[0].action} is under way" if running else "",
            incurable="",
            target=Target(True, "v1 was good"),
            destination="",
            maintenance=words_of(history.window),
        )

    def _budget(self, history: History) -> Budget:
        """As the receiver itself reads it off the store."""
        return self.lookout._budget(history)

    def _allowed(self, step: Step) -> bool:
        """The contract's words, over what was written down."""
        if not self.firing or not self.sick or self._in_window() or steps.running(self.c):
            return False
        mine = [one for one in self.begun if one.action == step.action]
        if step.action == "restart":
            return sum(one.at >= self.now - HOUR for one in mine) < RESTARTS_AN_HOUR
        return (
            step.incident_id not in {one.incident for one in mine}
            and sum(one.at >= self.now - DAY for one in mine) < ROLLBACKS_A_DAY
            and all(self.now >= one.at + COOLDOWN for one in mine)
        )

    def _in_window(self) -> bool:
        return any(begins <= self.now < ends for begins, ends in self.windows)

    def _pending(self) -> list[Step]:
        query = "SELECT id FROM steps WHERE state = 'pending' ORDER BY id"
        found = [steps.step(self.c, row["id"]) for row in self.c.execute(query).fetchall()]
        return [one for one in found if one is not None]

    @invariant()
    def one_thing_at_a_time(self) -> None:
        assert len(steps.running(self.c)) <= 1

    @invariant()
    def one_rollback_an_incident_and_a_pause_between_two(self) -> None:
        rollbacks = [one for one in self.begun if one.action == "rollback"]
        assert len({one.incident for one in rollbacks}) == len(rollbacks)
        for earlier, later in itertools.pairwise(rollbacks):
            assert later.at - earlier.at >= COOLDOWN

    @invariant()
    def no_more_in_any_span_than_is_allowed(self) -> None:
        for action, span, most in (("rollback", DAY, ROLLBACKS_A_DAY), ("restart", HOUR, RESTARTS_AN_HOUR)):  # fmt: skip
            times = [one.at for one in self.begun if one.action == action]
            for first, beyond in zip(times, times[most:], strict=False):
                assert beyond - first > span


TestGates = Gates.TestCase
TestGates.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,  # the suite is the same each time
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
