"""Each gate on both sides, and the order in which they speak."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from receiver.deciding.gates import (
    GATE_NAMES,
    GATES,
    Budget,
    Confirmation,
    Facts,
    Readiness,
    Switches,
    Target,
    judge,
    judge_all,
    to_be_asked,
)
from receiver.records import Approval, ApprovalState, Ask

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
FREE = Budget(
    cooldown=timedelta(minutes=30),
    max_rollbacks_per_day=3,
    max_restarts_per_hour=3,
    rollbacks_of_incident=0,
    rollbacks_last_day=0,
    restarts_last_hour=0,
    last_rollback_at=None,
)
ON = Switches(True, True, True, True, dry_run=False)
OPEN = Facts(
    now=NOW,
    action="rollback",
    alert="ServiceDown",
    category="health",
    confirm="probe",
    alerts_firing=1,
    alertmanager_says=True,
    switches=ON,
    confirmation=Confirmation(True, "HTTP 500"),
    budget=FREE,
    in_flight="",
    incurable="",
    target=Target(True, "v1 was good"),
    destination="",
)


def test_with_everything_right_all_gates_pass() -> None:
    assert [verdict.outcome for verdict in judge_all(OPEN)] == ["pass"] * len(GATES)
    assert judge(OPEN).outcome == "pass"


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("still firing", {"alerts_firing": 0}, "drop", "no alert"),
    ("still firing", {"alertmanager_says": False}, "wait", "Alertmanager says"),
    (
        "switched on",
        {"action": "emergency_stop", "switches": replace(ON, emergency_stop_on_critical=False)},
        "refuse",
        "EMERGENCY_STOP_ON_CRITICAL is false",
    ),
    (
        "switched on",
        {"switches": replace(ON, auto_rollback_enabled=False)},
        "refuse",
        "AUTO_ROLLBACK_ENABLED is false",
    ),
    (
        "switched on",
        {"switches": replace(ON, rollback_on_health_failure=False)},
        "refuse",
        "ROLLBACK_ON_HEALTH_FAILURE",
    ),
    (
        "switched on",
        {"category": "container", "switches": replace(ON, rollback_on_health_failure=False)},
        "refuse",
        "ROLLBACK_ON_HEALTH_FAILURE",
    ),
    (
        "switched on",
        {"category": "storage", "switches": replace(ON, rollback_on_health_failure=False)},
        "refuse",
        "ROLLBACK_ON_HEALTH_FAILURE",
    ),
    (
        "switched on",
        {
            "category": "performance",
            "switches": replace(ON, rollback_on_performance_degradation=False),
        },
        "refuse",
        "PERFORMANCE",
    ),
    (
        "switched on",
        {"category": "resource", "switches": replace(ON, rollback_on_resource_exhaustion=False)},
        "refuse",
        "RESOURCE",
    ),
    ("confirmed", {"confirmation": Confirmation(False, "HTTP 200")}, "wait", "disagrees: HTTP 200"),
    (
        "confirmed",
        {"confirmation": Confirmation(None, "no Engine")},
        "wait",
        "could not be confirmed: no Engine",
    ),
    (
        "cool-down and budget",
        {"budget": replace(FREE, rollbacks_of_incident=1)},
        "refuse",
        "has had its rollback",
    ),
    (
        "no maintenance",
        {"maintenance": "maintenance until 23:30 UTC: updates"},
        "wait",
        "maintenance until 23:30 UTC: updates",
    ),
    (
        "cool-down and budget",
        {"budget": replace(FREE, rollbacks_last_day=3)},
        "refuse",
        "MAX_ROLLBACKS_PER_DAY is 3",
    ),
    (
        "cool-down and budget",
        {"budget": replace(FREE, last_rollback_at=NOW - timedelta(minutes=29))},
        "refuse",
        "29m ago; COOLDOWN is 30m",
    ),
    (
        "cool-down and budget",
        {"action": "restart", "budget": replace(FREE, restarts_last_hour=3)},
        "refuse",
        "MAX_RESTARTS_PER_HOUR is 3",
    ),
    (
        "nothing in flight",
        {"in_flight": "a restart is under way"},
        "wait",
        "a restart is under way",
    ),
    ("an older image can cure this", {"incurable": "MinIO is down"}, "wait", "MinIO is down"),
    (
        "known-good target",
        {"target": Target(False, "the ledger knows none")},
        "refuse",
        "the ledger knows none",
    ),
    (
        "known-good target",
        {"target": Target(False, "the Engine does not answer", may_return=True)},
        "wait",
        "does not answer",
    ),
    ("destination", {"destination": "no token"}, "refuse", "no token"),
    (
        "ready to be carried out",
        {"readiness": Readiness("refuse", "rollback.yml is disabled_manually")},
        "refuse",
        "disabled_manually",
    ),
    (
        "ready to be carried out",
        {"readiness": Readiness("wait", "run 7 of deploy.yml is in progress")},
        "wait",
        "run 7",
    ),
    ("not dry", {"switches": replace(ON, dry_run=True)}, "refuse", "only told, not done"),
]


@pytest.mark.parametrize(("gate", "change", "outcome", "words"), CASES)
def test_each_gate_holds_with_its_reason(
    gate: str, change: dict[str, Any], outcome: str, words: str
) -> None:
    verdict = judge(replace(OPEN, **change))
    assert (verdict.gate, verdict.outcome) == (gate, outcome)
    assert words in verdict.reason


@pytest.mark.parametrize(
    "change",
    [
        {"alertmanager_says": None},
        {"confirm": "none", "confirmation": Confirmation(None, "")},
        {
            "budget": replace(
                FREE, rollbacks_last_day=2, last_rollback_at=NOW - timedelta(minutes=30)
            )
        },
        {"action": "restart", "switches": replace(ON, auto_rollback_enabled=False)},
        {"action": "restart", "target": Target(False, "")},
        {"action": "restart", "readiness": Readiness("refuse", "")},
        {"readiness": Readiness("pass", "the token may not ask for runners")},
        {
            "action": "restart",
            "budget": replace(FREE, rollbacks_of_incident=1, restarts_last_hour=2),
        },
        {"category": "performance", "switches": replace(ON, rollback_on_health_failure=False)},
    ],
)
def test_what_does_not_hold_a_step(change: dict[str, Any]) -> None:
    assert judge(replace(OPEN, **change)).outcome == "pass"


@pytest.mark.parametrize(
    ("firing", "seen", "outcome"),
    [
        (1, Confirmation(True, ""), "pass"),
        (1, Confirmation(False, ""), "pass"),
        (0, Confirmation(True, ""), "pass"),
        (0, Confirmation(False, ""), "drop"),
        # Prometheus may have died: Alertmanager then resolves its alerts by itself.
        (0, Confirmation(None, ""), "pass"),
        (0, Confirmation(None, "", unaskable=True), "drop"),
    ],
)
def test_a_person_is_called_while_it_is_broken(
    firing: int, seen: Confirmation, outcome: str
) -> None:
    facts = replace(OPEN, action="person", alerts_firing=firing, confirmation=seen)
    assert judge(facts).outcome == outcome


def test_the_first_gate_that_does_not_pass_speaks() -> None:
    everything = replace(
        OPEN,
        alerts_firing=0,
        switches=replace(ON, auto_rollback_enabled=False, dry_run=True),
        in_flight="x",
    )
    assert judge(everything).gate == "still firing"
    assert {verdict.gate for verdict in judge_all(OPEN)} | {"still broken"} == set(GATE_NAMES)


ASK = Ask("rollback", "", "", "the application is away for a minute", "HighResponseTime fires")
V1 = Target(True, "v1 was good", "v1", "sha256:1")
ASKING = replace(OPEN, ask=ASK, target=V1)


def approval(state: ApprovalState, **changes: Any) -> Approval:
    one = Approval(
        id=7,
        incident_id=1,
        step_id=2,
        action="rollback",
        subject="sha256:1",
        target="v1",
        blast="",
        why="",
        state=state,
        asked_at=NOW,
        expires_at=NOW + timedelta(hours=12),
        decided_at=None,
        who="anna (terminal)",
        holds_until=None,
        used_at=None,
        words="",
    )
    return replace(one, **changes)


@pytest.mark.parametrize(
    ("one", "outcome", "words", "asks"),
    [
        (None, "wait", "a person must approve it first: HighResponseTime fires", True),
        (approval("asked"), "wait", "sermon-monitor approve 7", False),
        (approval("granted"), "pass", "granted by anna (terminal)", False),
        (approval("denied"), "refuse", "denied already, by anna (terminal)", False),
        (approval("expired"), "refuse", "nobody decided approval 7", False),
        (approval("expired", holds_until=NOW), "refuse", "was not used", False),
        (approval("overtaken"), "wait", "must approve it first", True),
        (approval("used"), "wait", "must approve it first", True),
        # The known-good target is another one by now: what was granted was not this.
        (approval("granted", subject="sha256:0"), "wait", "must approve it first", True),
        (approval("asked", subject="sha256:0"), "wait", "must approve it first", True),
        # No is no, whichever version it was about.
        (approval("denied", subject="sha256:0"), "refuse", "denied", False),
    ],
)
def test_what_a_person_must_approve(
    one: Approval | None, outcome: str, words: str, asks: bool
) -> None:
    facts = replace(ASKING, approval=one)
    verdict = judge(facts)
    assert verdict.outcome == outcome
    (said,) = [v for v in judge_all(facts) if v.gate == "approved"]
    assert words in said.reason
    wanted = to_be_asked(facts)
    assert bool(wanted) is asks
    if wanted:
        assert (wanted.subject, wanted.target) == ("sha256:1", "v1")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (approval("asked"), "until 2026-03-08 12:00 CET;"),
        (approval("expired"), "nobody decided approval 7 until 2026-03-08 12:00 CET"),
        (approval("expired", holds_until=NOW), "did not pass until 00:00 CET"),
    ],
)
def test_a_reason_tells_times_as_people_there_read_them(one: Approval, said: str) -> None:
    facts = replace(ASKING, approval=one, zone=ZoneInfo("Europe/Berlin"))
    assert any(said in verdict.reason for verdict in judge_all(facts))


def test_a_grant_overrides_no_other_gate_and_nobody_is_asked_in_vain() -> None:
    granted = replace(ASKING, approval=approval("granted"))
    for _, change, outcome, words in CASES:
        verdict = judge(replace(granted, **change))
        assert (verdict.outcome, words in verdict.reason) == (outcome, True)
    unasked = replace(ASKING, switches=replace(ON, dry_run=True))
    assert judge(unasked).gate == "not dry"
    assert to_be_asked(unasked) is None


def test_it_is_asked_last_and_only_where_it_must_be() -> None:
    assert [gate.__name__ for gate in GATES[-2:]] == ["approved", "not_dry"]
    assert judge(replace(OPEN, approval=approval("denied"))).outcome == "pass"
