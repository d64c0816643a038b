"""What a person must approve: asking and deciding.

An approval is a question about one step. It says what exactly would be done (``subject``); a grant
holds for that alone, for a short while, for one beginning, and overrides no other gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from sqlite3 import Connection
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from receiver.approving.wording import expired_words, title, undecidable
from receiver.records import Approval, Ask, Ring, Step
from receiver.store import approvals, messages

HOLDS = timedelta(minutes=10)
"""How long a grant waits for the other gates: a yes is for now, not for the night."""

Choice = Literal["granted", "denied"]
CHOICES: Mapping[str, Choice] = {"approve": "granted", "deny": "denied"}
"""As a person says it."""


class Wish(BaseModel):
    """A decision as the board sends it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["approve", "deny"]
    by: Annotated[str, Field(max_length=60)] = ""

    @property
    def who(self) -> str:
        name = "".join(c if c.isprintable() else " " for c in self.by).strip()
        return f"{name or 'somebody'} (board)"


@dataclass(frozen=True)
class Decided:
    """What became of a person's decision. ``done`` says whether it counts."""

    done: bool
    words: str
    approval: Approval | None


def latest(found: Sequence[Approval], step: Step) -> Approval | None:
    """The newest question about a step."""
    return max((one for one in found if one.step_id == step.id), key=lambda a: a.id, default=None)


def ask(c: Connection, step: Step, what: Ask, ttl: timedelta, now: datetime) -> Approval | None:
    """Ask about a step: what was asked about it otherwise is overtaken. None where exactly this is asked."""
    held = [one for one in approvals.of_incident(c, step.incident_id) if one.step_id == step.id]
    if any(one.open and one.subject == what.subject for one in held):
        return None
    approvals.overtake(c, step.id, "what was asked for has changed")
    # Whole seconds: the time stands in the link.
    expires_at = datetime.fromtimestamp(int((now + ttl).timestamp()), now.tzinfo)
    number = approvals.ask(c, step, what, expires_at, now)
    if number is None:
        return None
    words = f"approval {number}: {title(what)}; {what.why}"
    messages.add_event(c, step.incident_id, "approval asked", words, now)
    return approvals.approval(c, number)


def put(
    c: Connection, step: Step, what: Ask, ttl: timedelta, notifier: str, now: datetime
) -> Approval | None:
    """Ask, show it on the card, and ring where people are to be woken. As ``ask`` otherwise."""
    made = ask(c, step, what, ttl, now)
    if made is not None:
        messages.touch_cards(c, step.incident_id, now)
        if what.rings:
            messages.add_call(c, step.incident_id, notifier, Ring.MENTION, now)
    return made


def decide(
    c: Connection,
    approval_id: int,
    choice: Choice,
    who: str,
    now: datetime,
    zone: tzinfo = UTC,
) -> Decided:
    """A person's yes or no. The first one counts, and only while it is open. ``zone``: TIMEZONE."""
    known = approvals.approval(c, approval_id)
    if known is None:
        return Decided(False, f"there is no approval {approval_id}", None)
    if choice == "granted":
        done = approvals.grant(c, approval_id, who, now + HOLDS, now)
    else:
        done = approvals.deny(c, approval_id, who, now)
    if not done:
        return Decided(False, undecidable(known, zone), known)
    approvals.hasten(c, known, now)
    words = f"approval {known.id}: {title(known)}"
    messages.record(c, known.incident_id, f"approval {choice}", words, now, who=who)
    return Decided(True, words, approvals.approval(c, approval_id))


def expire(c: Connection, now: datetime, zone: tzinfo = UTC) -> None:
    """What nobody decided, or what could not begin in time, is over."""
    for one in approvals.expire(c, now):
        messages.add_event(c, one.incident_id, "approval expired", expired_words(one, zone), now)
