"""``sermon-monitor policy test``: what the table is expected to say, as promtool does it for rules. Pure.

A file of expectations gives an alert, how things stand, and what follows: the decision, the steps with
their times, and what each gate says under facts that are named. Facts that are not named are those
of a step that may run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from receiver.deciding import gates
from receiver.deciding.decision import Decision, Standing, decide
from receiver.deciding.named_facts import NOW, facts_of
from receiver.deciding.policy import Confirm, Policy, PolicyStep, Row
from receiver.records import Severity
from target.durations import Duration, format_duration
from target.yaml_text import YamlError, parse_yaml


class ExpectationError(Exception):
    """The file of expectations cannot be used. ``problems`` has one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class State(_Strict):
    """How things stand when the alert arrives. ``ladder``: how long ago the ladder began."""

    incident: Literal["none", "open", "recent"] = "none"
    known: bool = False
    ladder: Duration | None = None
    taken: tuple[str, ...] = ()
    """Steps that are there already, as ``restart app``."""


class GateCase(_Strict):
    """What the gates say of one step: the first that does not pass, and the words in its reason."""

    step: Annotated[str, Field(pattern=r"\S")]
    """As ``rollback``, ``restart app`` or ``ask rollback``."""
    facts: Mapping[str, Any] = {}
    outcome: gates.Outcome = "pass"
    gate: str = ""
    reason: str = ""

    @model_validator(mode="after")
    def _named(self) -> GateCase:
        if self.outcome != "pass" and not self.gate:
            raise ValueError(
                f"step {self.step}: which gate says {self.outcome}? allowed: gate: NAME"
            )
        return self


class Case(_Strict):
    """One alert and what is expected. What is not said is not looked at."""

    alert: str
    name: str = ""
    labels: Mapping[str, str] = {}
    status: Literal["firing", "resolved"] = "firing"
    severity: Severity | None = None
    """Unset: that of the alert's row."""
    state: State = State()
    decision: str | None = None
    discord: Literal["now", "grouped", "digest"] | None = None
    mention: bool | None = None
    confirm: Confirm | None = None
    category: str | None = None
    rings: bool | None = None
    steps: tuple[str, ...] | None = None
    gates: tuple[GateCase, ...] = ()

    @property
    def title(self) -> str:
        labels = "".join(f" {key}={value}" for key, value in sorted(self.labels.items()))
        return f"{self.alert}{labels}{': ' if self.name else ''}{self.name}"


class Expectations(_Strict):
    """The whole of a file. ``minio_service``: as the setting, for rows with ``container``."""

    minio_service: tuple[str, ...] = ("sermon-uploader-minio", "minio")
    tests: tuple[Case, ...]


@dataclass(frozen=True)
class Difference:
    """One thing that is not as expected."""

    title: str
    what: str
    expected: str
    got: str


@dataclass(frozen=True)
class Outcome:
    """What came of a file: how many cases there were, what differs, and which rows no case is about."""

    cases: int
    differences: tuple[Difference, ...]
    uncovered: tuple[str, ...]


def parse_expectations(text: str, name: str) -> Expectations:
    """Raises ExpectationError with one line a problem."""
    try:
        return Expectations.model_validate(parse_yaml(text))
    except YamlError as error:
        raise ExpectationError([f"{name}: not YAML: {error}"]) from error
    except ValidationError as error:
        lines = [
            f"{name}: {'.'.join(map(str, item['loc'])) or 'file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise ExpectationError(lines) from error


def run(policy: Policy, expected: Expectations) -> Outcome:
    """Compare the table with all cases. Raises ExpectationError for facts that no gate knows."""
    differences: list[Difference] = []
    covered: set[int] = set()
    for case in expected.tests:
        labels, severity = _alert(policy, case)
        row = policy.row(labels, severity)
        covered.add(id(row))
        differences += _compare(policy, case, labels, severity, expected.minio_service)
    uncovered = tuple(_title(row) for row in policy.alerts if id(row) not in covered)
    return Outcome(len(expected.tests), tuple(differences), uncovered)


def _alert(policy: Policy, case: Case) -> tuple[dict[str, str], Severity]:
    labels = {"alertname": case.alert, "service": "sermon-uploader", **case.labels}
    row = next((row for row in policy.alerts if row.matches(labels)), None)
    severity = case.severity or (row.severity if row else "warning")
    return {"severity": severity, **labels}, severity


def _title(row: Row) -> str:
    return " ".join([row.alert, *(f"{key}={value}" for key, value in row.match.items())])


def _compare(
    policy: Policy,
    case: Case,
    labels: Mapping[str, str],
    severity: Severity,
    minio_service: Sequence[str],
) -> Iterator[Difference]:
    said = decide(
        policy,
        case.alert,
        labels,
        severity,
        firing=case.status == "firing",
        standing=_standing(case.state),
        now=NOW,
        minio_service=minio_service,
    )
    row = policy.row(labels, severity)
    got: dict[str, Any] = {
        "decision": said.kind,
        "discord": row.discord,
        "mention": row.mention,
        "confirm": row.confirm,
        "category": row.category,
        "rings": said.rings,
        "steps": _steps(said),
    }
    for what, value in got.items():
        wanted = getattr(case, what)
        if wanted is not None and _shown(wanted) != _shown(value):
            yield Difference(case.title, what, _shown(wanted), _shown(value))
    for number, gate in enumerate(case.gates, 1):
        yield from _judge(case, number, gate, row)


def _standing(state: State) -> Standing:
    return Standing(
        known=state.known,
        open_incident=1 if state.incident == "open" else None,
        recent_incident=1 if state.incident == "recent" else None,
        ladder_at=NOW - state.ladder if state.ladder is not None else None,
        taken=frozenset((a, t) for a, _, t in (name.partition(" ") for name in state.taken)),
    )


def _steps(said: Decision) -> tuple[str, ...]:
    """As the table writes them, the times counted from the ladder's zero."""
    zero = said.ladder_at or NOW
    return tuple(
        " ".join(
            filter(
                None,
                (
                    "ask" if s.ask else "",
                    s.action,
                    s.target,
                    f"@{format_duration(s.due_at - zero)}",
                ),
            )
        )
        for s in said.steps
    )


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_normal(one) for one in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _normal(step: str) -> str:
    """``rollback @0m`` and ``rollback app @0s`` are the same."""
    try:
        return str(PolicyStep.model_validate(step))
    except ValidationError:
        return step


# Gates


def _judge(case: Case, number: int, wanted: GateCase, row: Row) -> Iterator[Difference]:
    asks, words = wanted.step.startswith("ask "), wanted.step.removeprefix("ask ").split()
    try:
        facts = facts_of(words[0], case.alert, row, wanted.facts, ask=asks)
    except ValueError as error:
        raise ExpectationError([f"{case.title}: facts.{error}"]) from error
    verdict = gates.judge(facts)
    what = f"gates {number}, {wanted.step}"
    expected, got = wanted.outcome, verdict.outcome
    if expected != got or (wanted.gate and wanted.gate != verdict.gate):
        yield Difference(
            case.title,
            what,
            f"{expected}{f' by {wanted.gate}' if wanted.gate else ''}",
            f"{got} by {verdict.gate}: {verdict.reason}",
        )
    elif wanted.reason not in verdict.reason:
        yield Difference(case.title, f"{what}, reason", wanted.reason, verdict.reason)
