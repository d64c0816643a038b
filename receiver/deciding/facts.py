"""What the gates are told, and what they answer: values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from receiver.deciding.policy import Category, Confirm
from receiver.records import Approval, Ask

Outcome = Literal["pass", "wait", "refuse", "drop"]
"""pass: go on · wait: ask again soon · refuse: not for this incident · drop: overtaken, nothing is left to do."""


OUTCOMES: tuple[Outcome, ...] = ("pass", "wait", "refuse", "drop")
"""From the most permitting one."""


@dataclass(frozen=True)
class Verdict:
    gate: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Confirmation:
    """What we saw ourselves. ``sick`` is None when it could not be told."""

    sick: bool | None
    words: str
    unaskable: bool = False
    """True when the way to ask is not configured at all, so that asking again cannot help."""


@dataclass(frozen=True)
class Switches:
    """What the operator allows."""

    auto_rollback_enabled: bool
    rollback_on_health_failure: bool
    rollback_on_performance_degradation: bool
    rollback_on_resource_exhaustion: bool
    dry_run: bool
    emergency_stop_on_critical: bool = True


@dataclass(frozen=True)
class Budget:
    """What was done already, and how much may be."""

    cooldown: timedelta
    max_rollbacks_per_day: int
    max_restarts_per_hour: int
    rollbacks_of_incident: int
    rollbacks_last_day: int
    restarts_last_hour: int
    last_rollback_at: datetime | None


@dataclass(frozen=True)
class Target:
    """What a rollback would go back to. ``words`` says why there is none, or what it is."""

    known: bool
    words: str
    title: str = ""
    """The release for people; empty for none."""
    subject: str = ""
    """Its image id: what an approval of the rollback holds for."""
    may_return: bool = False
    """Who would know does not answer right now: asking again can help."""
    elsewhere: bool = False
    """It has only been looked for here: GitHub may know one."""


@dataclass(frozen=True)
class Readiness:
    """Whether a rollback that is begun now would be carried out."""

    outcome: Literal["pass", "wait", "refuse"]
    words: str


@dataclass(frozen=True)
class Facts:
    """Everything that the gates may ask, gathered for one step at one moment."""

    now: datetime
    action: str
    alert: str
    category: Category
    confirm: Confirm
    alerts_firing: int
    """How many alerts of the incident fire, by our own record."""
    alertmanager_says: bool | None
    """Whether the alert that asked for the step still fires; None when Alertmanager could not be asked."""
    switches: Switches
    confirmation: Confirmation
    budget: Budget
    in_flight: str
    """What is being done to the deployment right now, in words; empty for nothing."""
    incurable: str
    """Why no older image of the application can cure this, in words; empty when one may."""
    target: Target
    destination: str
    """Why the action's destination cannot be used (no token, no containers), in words; empty when it can."""
    maintenance: str = ""
    """The maintenance window that is open, in words; empty for none."""
    destination_may_return: bool = False
    """The destination does not answer right now: asking again can help."""
    unexplained: str = ""
    """Why no version can be the cause, in words: nothing that asking again soon would change."""
    ask: Ask | None = None
    """What a person must approve; None where nobody need be asked."""
    approval: Approval | None = None
    """The newest question about this step, and what became of it."""
    readiness: Readiness | None = None
    """None while it has not been asked for: that is done only when every other gate lets the step pass."""
    zone: tzinfo = UTC
    """TIMEZONE: in which the reasons tell times."""
