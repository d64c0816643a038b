"""What a person may do to an incident from the terminal or the board: note, retry, discard.

Nothing here gives a step more rights than the ladder has: what is retried is planned anew, and asks
every gate. Each act, and each refusal of one, is a row of the audit trail with the person's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection
from typing import Literal

from receiver.deciding.decision import PlannedStep
from receiver.records import Incident, Message, Step
from receiver.store import by_hand as hand
from receiver.store import incidents, messages, steps

LONGEST_TEXT = 500
_KINDS: dict[str, Literal["incident", "step", "message"]] = {
    "": "incident",
    "s": "step",
    "m": "message",
}


class RefusedError(Exception):
    """It may not be done, in words."""


@dataclass(frozen=True)
class Reference:
    """``12``: an incident; ``s34``: a step; ``m7``: a message."""

    kind: Literal["incident", "step", "message"]
    number: int

    def __str__(self) -> str:
        return f"incident {self.number}" if self.kind == "incident" else self.short

    @property
    def short(self) -> str:
        letter = next(letter for letter, kind in _KINDS.items() if kind == self.kind)
        return f"{letter}{self.number}"


def parse_reference(text: str) -> Reference:
    """Raises ValueError in words."""
    match = re.fullmatch(r"(s|m|)([0-9]{1,18})", text.strip())
    if not match:
        raise ValueError(
            f"allowed: 12 (an incident), s34 (a step) or m7 (a message), as status and incidents show them; got {text[:40]!r}"
        )
    return Reference(_KINDS[match[1]], int(match[2]))


def text_of(text: str, what: str) -> str:
    """One line of at most LONGEST_TEXT characters. Raises ValueError where nothing is left."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not line:
        raise ValueError(f"{what} is needed")
    if len(line) > LONGEST_TEXT:
        raise ValueError(f"{what}: allowed: up to {LONGEST_TEXT} characters; got {len(line)}")
    return line.encode(errors="replace").decode()


def note(c: Connection, incident_id: int, text: str, who: str, now: datetime) -> None:
    """A word for whoever looks next: on the card and the board. Raises RefusedError."""
    _incident(c, incident_id)
    messages.record(c, incident_id, "note", text, now, who=who)


def retry(c: Connection, what: Reference, who: str, now: datetime) -> list[str]:
    """Tell or do again what failed or was refused. Returns a line for each; raises RefusedError where there is none.

    An incident: every step of it that may be retried, and its messages that could not be told.
    """
    match what.kind:
        case "message":
            return [_retry_message(c, _message(c, what.number), who, now)]
        case "step":
            return [_retry_step(c, _step(c, what.number), who, now)]
        case "incident":
            return _retry_incident(c, _incident(c, what.number), who, now)


def discard(c: Connection, what: Reference, reason: str, who: str, now: datetime) -> str:
    """Give something up for good. Returns what was done; raises RefusedError.

    A message is not sent any more; a step that waits is dropped; an incident is closed by hand.
    """
    match what.kind:
        case "message":
            return _discard_message(c, _message(c, what.number), reason, who, now)
        case "step":
            return _discard_step(c, _step(c, what.number), reason, who, now)
        case "incident":
            return _close(c, _incident(c, what.number), reason, who, now)


def refused(c: Connection, verb: str, what: Reference, why: str, who: str, now: datetime) -> None:
    """A refusal is a row of the audit trail too."""
    messages.add_event(c, _incident_of(c, what), f"{verb} refused", f"{what}: {why}", now, who=who)


def _incident_of(c: Connection, what: Reference) -> int | None:
    found: Incident | Step | Message | None
    match what.kind:
        case "incident":
            found = incidents.incident(c, what.number)
            return found.id if found else None
        case "step":
            found = steps.step(c, what.number)
        case "message":
            found = messages.message(c, what.number)
    return found.incident_id if found else None


# Messages


def _retry_message(c: Connection, message: Message, who: str, now: datetime) -> str:
    if message.revision <= message.delivered and not message.error:
        raise RefusedError(f"m{message.id} has been told")
    hand.retry_message(c, message.id, now)
    words = f"m{message.id} ({message.kind}) is sent again now"
    messages.add_event(c, message.incident_id, "retry", words, now, who=who)
    return words


def _discard_message(c: Connection, message: Message, reason: str, who: str, now: datetime) -> str:
    if message.revision <= message.delivered and not message.error:
        raise RefusedError(f"m{message.id} has been told: there is nothing to discard")
    messages.discard_message(c, message.id)
    later = "; news of the incident will try it again" if message.kind == "card" else ""
    words = f"m{message.id} ({message.kind}) is not sent any more{later}"
    messages.add_event(c, message.incident_id, "discard", f"{words}: {reason}", now, who=who)
    return words


# Steps


def _why_not(step: Step, incident: Incident, others: Sequence[Step]) -> str:
    """Why a step may not be planned anew, in words; empty where it may. Pure."""
    name = " ".join(filter(None, (step.action, step.target)))
    same = [other for other in others if (other.action, other.target) == (step.action, step.target)]
    if incident.state != "open":
        return f"incident {incident.id} is over"
    if step.state == "done":
        return f"s{step.id} ({name}) is done"
    if any(other.state in ("pending", "running") for other in same):
        return f"a {name} of incident {incident.id} waits or is under way already"
    if step.action == "rollback" and any(other.started_at for other in same):
        return f"incident {incident.id} has had its one rollback; on the host, type: sermon-recovery rollback"
    return ""


def _retry_step(c: Connection, step: Step, who: str, now: datetime) -> str:
    incident = _incident(c, step.incident_id)
    if words := _why_not(step, incident, steps.steps(c, incident.id)):
        raise RefusedError(words)
    steps.add_step(
        c, incident.id, PlannedStep(step.action, step.target, now, step.asks), step.alert
    )
    name = " ".join(filter(None, (step.action, step.target)))
    words = f"{name} is planned again, now; every gate is asked (it was {step.state}: {step.words})"
    messages.record(c, incident.id, "retry", words, now, who=who)
    return words


def _discard_step(c: Connection, step: Step, reason: str, who: str, now: datetime) -> str:
    if step.state != "pending":
        why = "it runs: what has gone out is followed to its end" if step.state == "running" else ""
        raise RefusedError(f"s{step.id} ({step.action}) is {step.state}{': ' + why if why else ''}")
    steps.end_step(c, step.id, "dropped", f"discarded by {who}: {reason}", now)
    words = f"s{step.id} ({step.action}) will not be done"
    messages.record(c, step.incident_id, "discard", f"{words}: {reason}", now, who=who)
    return words


# Incidents


def _retry_incident(c: Connection, incident: Incident, who: str, now: datetime) -> list[str]:
    every = steps.steps(c, incident.id)
    newest = {(step.action, step.target): step for step in every}.values()
    done: list[str] = []
    refused: list[str] = []
    for step in newest:
        if step.state not in ("failed", "refused"):
            continue
        if words := _why_not(step, incident, every):
            refused.append(words)
        else:
            done.append(_retry_step(c, step, who, now))
    done += [
        _retry_message(c, message, who, now)
        for message in hand.troubled(c, incident.id)
        if message.error
    ]
    if not done:
        raise RefusedError(
            "; ".join(refused) or f"nothing of incident {incident.id} has failed or was refused"
        )
    return done + [f"not again: {words}" for words in refused]


def _close(c: Connection, incident: Incident, reason: str, who: str, now: datetime) -> str:
    """open -> resolved by a person's word. An alert that fires again opens it again, as it always does."""
    if incident.state != "open":
        raise RefusedError(f"incident {incident.id} is over already")
    running = [step for step in steps.steps(c, incident.id) if step.state == "running"]
    if running:
        raise RefusedError(
            f"a {running[0].action} of incident {incident.id} is under way: it is followed to its end first"
        )
    verdict = f"closed by hand by {who}: {reason}"
    firing = [alert for alert in incidents.alerts(c, incident.id) if alert.firing]
    incidents.end_alerts(c, [alert.fingerprint for alert in firing], now)
    dropped = "the incident was closed by hand"
    for step in steps.drop_pending(c, incident.id, dropped, now):
        messages.add_event(c, incident.id, f"{step.action} drop", dropped, now)
    incidents.resolve_incident(c, incident.id, verdict, now)
    names = ", ".join(sorted({alert.name for alert in firing}))
    words = f"incident {incident.id} is closed" + (
        f"; {names} fired by our record, and opens it again when told of again" if names else ""
    )
    messages.record(c, incident.id, "discard", f"{words}: {reason}", now, who=who)
    return words


def _incident(c: Connection, incident_id: int) -> Incident:
    found = incidents.incident(c, incident_id)
    if found is None:
        raise RefusedError(f"there is no incident {incident_id}")
    return found


def _step(c: Connection, step_id: int) -> Step:
    found = steps.step(c, step_id)
    if found is None:
        raise RefusedError(f"there is no step s{step_id}")
    return found


def _message(c: Connection, message_id: int) -> Message:
    found = messages.message(c, message_id)
    if found is None:
        raise RefusedError(f"there is no message m{message_id}")
    return found
