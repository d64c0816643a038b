"""What the store remembers, as frozen values: incidents, alerts, steps, messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the mildest; an incident is as severe as its worst alert ever was."""


class Ring(IntEnum):
    """How loudly a message arrives: no push at all, a push by the channel's own settings, or with the mention."""

    SILENT = 0
    NOTIFY = 1
    MENTION = 2


NOBODYS = "no_deployment"
"""The label that marks an alert of none of several deployments: whoever takes it tells of it, and does nothing."""
LOOKING = frozenset({"investigate"})
"""Actions that change nothing: they have no gates, begin no ladder, hold nothing up and cure nothing."""

StepState = Literal["pending", "running", "done", "failed", "refused", "dropped"]
STEP_STATES: tuple[StepState, ...] = ("pending", "running", "done", "failed", "refused", "dropped")


@dataclass(frozen=True)
class Incident:
    """One trouble of one service, from its first alert to its confirmed end."""

    id: int
    service: str
    state: Literal["open", "resolved"]
    severity: Severity
    opened_at: datetime
    ladder_at: datetime | None
    """When the first alert that asks for steps joined: the zero of the ladder's times."""
    resolved_at: datetime | None
    reopened: int
    verdict: str
    truncated: int
    check_at: datetime | None
    """When its end is next looked at; None while an alert fires."""
    digest: bool = False
    """It holds what is only for the digest, and stands apart from the service's other incidents."""


@dataclass(frozen=True)
class AlertInstance:
    """One alert from its firing to its end: its fingerprint while open."""

    id: int
    incident_id: int
    fingerprint: str
    name: str
    severity: Severity
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    first_seen: datetime
    last_seen: datetime
    ended_at: datetime | None
    repeats: int

    @property
    def firing(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True)
class Step:
    """One rung of the ladder: what is to be done for an incident, and what became of it."""

    id: int
    incident_id: int
    action: str
    target: str
    alert: str
    """The name of the alert that asked for it."""
    state: StepState
    phase: str
    """Where a running step is, e.g. dispatching, following, verifying; empty otherwise."""
    due_at: datetime
    words: str
    started_at: datetime | None
    ended_at: datetime | None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What the action must find again after a crash: correlation id, run id, target."""
    asks: bool = False
    """It runs only with a person's approval."""

    @property
    def turn(self) -> tuple[bool, datetime, bool, int]:
        """What runs goes on first; then by time, MinIO before the application that needs it."""
        return (self.state != "running", self.due_at, self.target != "minio", self.id)


@dataclass(frozen=True)
class Ask:
    """What a person is asked to approve, in words that stand beside the button."""

    action: str
    """As on the card: rollback, emergency_stop, cleanup, or another word for a way of doing it."""
    subject: str
    """What exactly would be done, e.g. an image id: an approval holds for this alone."""
    target: str
    """The same for people, e.g. the version's title."""
    blast: str
    """What is stopped, restarted or deleted, and for how long."""
    why: str
    rings: bool = False
    """Whether people are woken to be asked."""


ApprovalState = Literal["asked", "granted", "denied", "expired", "overtaken", "used"]


@dataclass(frozen=True)
class Approval:
    """A question to people, and what became of it. States and transitions: schema_7.sql."""

    id: int
    incident_id: int
    step_id: int
    action: str
    subject: str
    target: str
    blast: str
    why: str
    state: ApprovalState
    asked_at: datetime
    expires_at: datetime
    """Until when it can be decided."""
    decided_at: datetime | None
    who: str
    """Who decided, as "anna (terminal)"; empty where nobody has."""
    holds_until: datetime | None
    """Until when what was granted may begin."""
    used_at: datetime | None
    words: str
    """Why it was overtaken."""

    @property
    def open(self) -> bool:
        return self.state in ("asked", "granted")


@dataclass(frozen=True)
class Message:
    """One message to people: an incident's card, a call for a person, or a note about anything.

    ``since``: when what waits became news.
    """

    id: int
    incident_id: int | None
    """None only for a note that is about no incident."""
    kind: Literal["card", "call", "note", "files"]
    notifier: str
    ring: Ring
    message_id: str | None
    revision: int
    delivered: int
    due_at: datetime
    attempts: int
    error: str
    copies: int
    """How often the first post may have been made without our knowing its id."""
    note: str
    """What a note says, as JSON of receiver.telling.note.Note; empty for the others."""
    since: datetime
    topic: str = ""
    """Of notes of one topic only the newest is told; empty for one that stands alone."""


@dataclass(frozen=True)
class EvidenceFile:
    """What was collected about a container, without its text."""

    id: int
    incident_id: int
    step_id: int
    container: str
    file: str
    made_at: datetime
    summary: str
    message_id: str | None
    """The message it is attached to."""
    attachment_id: str | None


PictureState = Literal["wanted", "drawn", "given up", "old"]


@dataclass(frozen=True)
class PictureFile:
    """The picture of an incident's signal, without its pixels. States and transitions: schema_14.sql."""

    incident_id: int
    state: PictureState
    number: int
    """How many were drawn; 0: none yet."""
    file: str
    words: str
    """What is on it, for those who do not see it."""
    width: int
    height: int
    kept: bool
    """Its pixels are still there."""
    problem: str
    """Why the last try gave no picture."""
    alert_id: int | None
    """The alert whose signal is on it."""
    tries: int
    message_id: str | None
    """The message it is attached to."""
    attachment_id: str | None


WindowOrigin = Literal["person", "recurring", "deployment"]


@dataclass(frozen=True)
class Window:
    """A time of maintenance, from ``starts_at`` until just before ``ends_at``."""

    id: int
    starts_at: datetime
    ends_at: datetime
    reason: str
    origin: WindowOrigin
    told: int
    """0: nothing has been told, 1: that it began, 2: that it is over."""
    who: str = ""
    """The person who asked for it; empty for one that opened by itself."""
    silence: bool = False
    """Alertmanager is to be silent too."""


@dataclass(frozen=True)
class Event:
    """One line of the audit trail."""

    id: int
    incident_id: int | None
    at: datetime
    kind: str
    words: str
    who: str = ""
    """The person who did it, as "anna (terminal)"; empty: Sermon Monitor itself."""
