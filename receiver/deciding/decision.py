"""decide(): what an arriving alert means, by the severity/action table. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from receiver.deciding.policy import Policy, PolicyStep, Row
from receiver.records import Ring, Severity

_CONTAINER = re.compile(r"[A-Za-z0-9][\w.-]{0,127}", re.ASCII)


@dataclass(frozen=True)
class PlannedStep:
    """A step to be remembered for an incident; ``due_at`` already counts from the ladder's zero."""

    action: str
    target: str
    due_at: datetime
    ask: bool = False
    """Only with a person's approval."""


@dataclass(frozen=True)
class Decision:
    """What an arriving alert means, and why, in words."""

    kind: Literal["heartbeat", "repeat", "join", "open", "reopen", "end", "stray end"]
    reason: str
    row: Row | None = None
    steps: tuple[PlannedStep, ...] = ()
    ladder_at: datetime | None = None
    rings: bool = False
    """Something new that people must hear of, also where a card is there already."""


@dataclass(frozen=True)
class Standing:
    """What is known when an alert arrives."""

    known: bool
    """An instance with this fingerprint is open."""
    open_incident: int | None = None
    recent_incident: int | None = None
    """An incident of the same service that ended within FLAP_WINDOW."""
    ladder_at: datetime | None = None
    """The zero of the ladder that is under way; None where none is."""
    taken: frozenset[tuple[str, str]] = frozenset()
    """(action, target) of steps that are not planned again."""


def container_role(name: str, minio_service: Sequence[str]) -> Literal["app", "minio"]:
    """Whose container ``name`` is: one named as in MINIO_SERVICE, or by compose as PROJECT-SERVICE-1."""
    for service in minio_service:
        if name == service or re.search(rf"(^|[-_]){re.escape(service)}[-_]\d+$", name):
            return "minio"
    return "app"


def asked(
    row: Row, labels: Mapping[str, str], minio_service: Sequence[str]
) -> dict[tuple[str, str], PolicyStep]:
    """The steps that a row asks for about an alert with these labels, by (action, target)."""
    if not row.steps:
        return {}
    name = labels.get("name", "")
    role = container_role(name, minio_service)
    about_minio = row.category == "container" and role == "minio"
    return {
        (step.action, _target(step, name, role)): step
        for step in row.steps
        # An older image of the application cannot cure MinIO's container.
        if not (step.action == "rollback" and about_minio)
    }


def _target(step: PolicyStep, name: str, role: str) -> str:
    if step.action == "investigate":
        return name if _CONTAINER.fullmatch(name) else ""
    return role if step.target == "container" else step.target


def _plan(
    row: Row,
    labels: Mapping[str, str],
    standing: Standing,
    minio_service: Sequence[str],
    zero: datetime,
) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(action=action, target=target, due_at=zero + step.after, ask=step.ask)
        for (action, target), step in asked(row, labels, minio_service).items()
        if (action, target) not in standing.taken
    )


def decide(
    policy: Policy,
    name: str,
    labels: Mapping[str, str],
    severity: Severity,
    *,
    firing: bool,
    standing: Standing,
    now: datetime,
    minio_service: Sequence[str] = (),
) -> Decision:
    """What one alert of a webhook means for the incidents of its service."""
    if name in policy.heartbeat:
        return Decision(kind="heartbeat", reason=f"{name} shows that the pipeline works")
    if not firing:
        if standing.known:
            return Decision(kind="end", reason=f"{name} is over, says Alertmanager")
        return Decision(
            kind="stray end", reason=f"{name} ended, but was not known here; nothing is opened"
        )
    if standing.known:
        return Decision(kind="repeat", reason=f"{name} is known and still fires")
    row = policy.row(labels, severity)
    kind: Literal["join", "open", "reopen"]
    if standing.open_incident is not None:
        kind, reason = "join", f"{name} joins the open incident of its service"
    elif standing.recent_incident is not None:
        kind, reason = (
            "reopen",
            f"{name} fires again soon after the incident ended: it is the same one, its budget is not refilled",
        )
    else:
        kind, reason = "open", f"{name} opens an incident"
    # Without a ladder (a new incident, one that came back, one of mere warnings) a new one begins.
    # What only asks is on no ladder: an emergency that joins hours later begins at its own zero.
    zero = (standing.ladder_at if kind == "join" and row.ladder else None) or now
    steps = _plan(row, labels, standing, minio_service, zero)
    return Decision(
        kind=kind,
        reason=reason,
        row=row,
        steps=steps,
        ladder_at=zero if row.ladder else standing.ladder_at,
        rings=row.ring > Ring.SILENT
        and (kind == "reopen" or (row.ladder and standing.ladder_at is None)),
    )
