"""The shipped table against the shipped expectations, and how such a file fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.deciding.expectations import ExpectationError, parse_expectations, run
from receiver.deciding.gates import GATES, judge_all
from receiver.deciding.named_facts import facts_of
from receiver.deciding.policy import Policy, load_policy

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "monitoring" / "policy_test.yml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy(ROOT / "monitoring" / "policy.yml")


def test_the_shipped_table_does_what_is_expected(policy: Policy) -> None:
    outcome = run(policy, parse_expectations(SHIPPED, "policy_test.yml"))
    assert outcome.differences == ()
    assert outcome.uncovered == (), "each row of the table has a case"
    assert outcome.cases > len(policy.alerts)


def test_every_gate_has_a_case_in_which_it_speaks() -> None:
    expected = parse_expectations(SHIPPED, "policy_test.yml")
    speaking = {gate.gate for case in expected.tests for gate in case.gates}
    row = load_policy(ROOT / "monitoring" / "policy.yml").alerts[0]
    named = {verdict.gate for verdict in judge_all(facts_of("rollback", row.alert, row, {}))}
    assert len(named) == len(GATES)
    assert named - {""} <= speaking


@pytest.mark.parametrize(
    ("case", "what", "expected", "got"),
    [
        ("{alert: A, decision: join}", "decision", "join", "open"),
        ("{alert: A, severity: critical, mention: false}", "mention", "false", "true"),
        (
            "{alert: ServiceDown, labels: {cause: app}, steps: [restart app @0m]}",
            "steps",
            "[restart app @0s]",
            "[restart app @0s, rollback app @2m, person @10m]",
        ),
        (
            "{alert: ServiceDown, labels: {cause: app}, gates: [{step: rollback, facts: {look: well}}]}",
            "gates 1, rollback",
            "pass",
            "wait by confirmed: our own look disagrees: we see: well",
        ),
        (
            "{alert: HighErrorRate, gates: [{step: rollback, facts: {dry_run: true}, outcome: refuse, gate: not dry, reason: elephant}]}",
            "gates 1, rollback, reason",
            "elephant",
            "DRY_RUN is true: the rollback is only told, not done",
        ),
        (
            "{alert: HighErrorRate, gates: [{step: rollback, facts: {dry_run: true}, outcome: refuse, gate: destination}]}",
            "gates 1, rollback",
            "refuse by destination",
            "refuse by not dry: DRY_RUN is true: the rollback is only told, not done",
        ),
    ],
)
def test_what_is_otherwise_is_said(
    policy: Policy, case: str, what: str, expected: str, got: str
) -> None:
    outcome = run(policy, parse_expectations(f"tests: [{case}]", "f"))
    (one,) = outcome.differences
    assert (one.what, one.expected, one.got) == (what, expected, got)
    assert "TargetMissing" in outcome.uncovered


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "f: file"),
        ("tests: [", "f: not YAML"),
        ("tests: [{}]", "f: tests.0.alert"),
        ("tests: [{alert: A, stepps: []}]", "f: tests.0.stepps"),
        ("tests: [{alert: A, state: {incident: shut}}]", "f: tests.0.state.incident"),
        (
            "tests: [{alert: A, gates: [{step: rollback, outcome: wait}]}]",
            "which gate says wait? allowed: gate: NAME",
        ),
    ],
)
def test_a_file_that_cannot_be_used(text: str, words: str) -> None:
    with pytest.raises(ExpectationError) as caught:
        parse_expectations(text, "f")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ("{colour: red}", "no gate asks that; allowed: alertmanager_says"),
        ("{look: ill}", "allowed: sick, well, unknown, unaskable"),
        ("{dry_run: maybe}", "boolean"),
        ("{last_rollback: soon}", "allowed: seconds, or a duration"),
        ("{alerts_firing: many}", "integer"),
    ],
)
def test_facts_that_no_gate_knows(policy: Policy, facts: str, words: str) -> None:
    text = f"tests: [{{alert: A, gates: [{{step: rollback, facts: {facts}}}]}}]"
    with pytest.raises(ExpectationError) as caught:
        run(policy, parse_expectations(text, "f"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("A: facts.")
