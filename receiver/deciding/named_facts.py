"""The facts that gates are asked about, by the names that a person writes in a file of expectations. Pure."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from receiver.deciding.facts import Budget, Confirmation, Facts, Readiness, Switches, Target
from receiver.deciding.policy import Row
from receiver.records import Approval, ApprovalState, Ask
from target.durations import Duration

NOW = datetime(2026, 1, 6, 12, 0, tzinfo=UTC)
_SWITCHES = Switches(
    auto_rollback_enabled=True,
    rollback_on_health_failure=True,
    rollback_on_performance_degradation=True,
    rollback_on_resource_exhaustion=True,
    dry_run=False,
    emergency_stop_on_critical=True,
)
_BUDGET = Budget(
    cooldown=timedelta(minutes=30),
    max_rollbacks_per_day=3,
    max_restarts_per_hour=3,
    rollbacks_of_incident=0,
    rollbacks_last_day=0,
    restarts_last_hour=0,
    last_rollback_at=None,
)
_TARGET = Target(True, "v1 was the last known good version", "v1", "sha256:1")
_ASK = Ask("rollback", "sha256:1", "v1", "the application is away for a minute", "it is slow")


def _approval(state: ApprovalState) -> Approval:
    return Approval(
        id=1,
        incident_id=1,
        step_id=1,
        action=_ASK.action,
        subject=_ASK.subject,
        target=_ASK.target,
        blast=_ASK.blast,
        why=_ASK.why,
        state=state,
        asked_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        decided_at=None,
        who="anna (terminal)",
        holds_until=None,
        used_at=None,
        words="",
    )


_SICK: Mapping[str, bool | None] = {"sick": True, "well": False, "unknown": None, "unaskable": None}


def facts_of(
    action: str, alert: str, row: Row, named: Mapping[str, Any], *, ask: bool = False
) -> Facts:
    """The facts of a step that may run, but for those that are named. Raises ValueError in words.

    Named are the fields of Facts, Budget and Switches; besides ``look`` (sick, well,
    unknown, unaskable: what we see ourselves), ``known_good``, ``last_rollback`` (how long ago) and, of a
    step that asks (``ask``), ``approval`` (none, asked, granted, denied, expired); ``ready`` (pass, wait,
    refuse: what GitHub says before a rollback).
    """
    facts = Facts(
        now=NOW,
        action=action,
        alert=alert,
        category=row.category,
        confirm=row.confirm,
        alerts_firing=1,
        alertmanager_says=True,
        switches=_SWITCHES,
        confirmation=Confirmation(True, "it is broken"),
        budget=_BUDGET,
        in_flight="",
        incurable="",
        target=_TARGET,
        destination="",
        ask=_ASK if ask else None,
        approval=_approval("granted") if ask else None,
    )
    try:
        for name, value in named.items():
            facts = _with(facts, name.lower(), value)
    except (ValidationError, ValueError) as error:
        words = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ValueError(f"{name}: {words}") from error
    return facts


def _with(facts: Facts, name: str, value: Any) -> Facts:
    if name in _WORDS:
        return _WORDS[name](facts, value)
    if name in (kinds := _simple(Budget)):
        budget: dict[str, Any] = {name: _typed(kinds[name], value)}
        return replace(facts, budget=replace(facts.budget, **budget))
    if name in (kinds := _simple(Switches)):
        switches: dict[str, Any] = {name: _typed(kinds[name], value)}
        return replace(facts, switches=replace(facts.switches, **switches))
    if name in (kinds := _simple(Facts)):
        changed: dict[str, Any] = {name: _typed(kinds[name], value)}
        return replace(facts, **changed)
    parts = (Facts, Budget, Switches)
    every = sorted({*_WORDS, *(one for part in parts for one in _simple(part))})
    raise ValueError(f"no gate asks that; allowed: {', '.join(every)}")


def _look(facts: Facts, value: Any) -> Facts:
    _one_of(value, _SICK)
    seen = Confirmation(_SICK[value], f"we see: {value}", unaskable=value == "unaskable")
    return replace(facts, confirmation=seen)


def _decided(facts: Facts, value: Any) -> Facts:
    _one_of(value, ("none", *typing.get_args(ApprovalState)))
    return replace(facts, approval=None if value == "none" else _approval(value))


def _known_good(facts: Facts, value: Any) -> Facts:
    known: bool = _typed(bool, value)
    return replace(facts, target=replace(_TARGET, known=known))


def _last_rollback(facts: Facts, value: Any) -> Facts:
    ago: timedelta = TypeAdapter(Duration).validate_python(value)
    return replace(facts, budget=replace(facts.budget, last_rollback_at=NOW - ago))


def _ready(facts: Facts, value: Any) -> Facts:
    _one_of(value, ("pass", "wait", "refuse"))
    return replace(facts, readiness=Readiness(value, f"GitHub says: {value}"))


_WORDS: Mapping[str, Callable[[Facts, Any], Facts]] = {
    "approval": _decided,
    "known_good": _known_good,
    "last_rollback": _last_rollback,
    "look": _look,
    "ready": _ready,
}


def _one_of(value: Any, allowed: Collection[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"allowed: {', '.join(allowed)}; got {value!r}")


def _typed(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value, strict=kind is bool)


@cache
def _simple(part: type) -> Mapping[str, Any]:
    """The fields that one word can give: texts, numbers, switches, durations; not what the row gives."""
    hints = typing.get_type_hints(part)
    fixed = {"now", "action", "alert", "category", "confirm"}
    return {
        one.name: Duration if hints[one.name] is timedelta else hints[one.name]
        for one in fields(part)
        if one.name not in fixed and _is_simple(hints[one.name])
    }


def _is_simple(kind: Any) -> bool:
    if isinstance(kind, types.UnionType):
        return all(_is_simple(one) for one in typing.get_args(kind))
    return kind in (str, int, bool, float, timedelta, type(None)) or (
        typing.get_origin(kind) is Literal
    )
