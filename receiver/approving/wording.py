"""Approvals in words, the same on the card, the page, the board and in the terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from receiver.records import Approval, Ask
from target.times import local

_TITLES: Mapping[str, str] = {
    "rollback": "Rollback to {target}",
    "local_rollback": "Rollback to {target}, by this machine itself",
    "emergency_stop": "Emergency stop of {target}",
    "cleanup": "Deleting {target}",
    "restart": "Restart of {target}",
}


def title(what: Ask | Approval) -> str:
    """``Rollback to v1.2 (1f0c9aa)``."""
    form = _TITLES.get(what.action, "{action}: {target}")
    return form.format(action=what.action.replace("_", " "), target=what.target)


def waiting_words(one: Approval, zone: tzinfo) -> str:
    """For a step that waits for a person. ``zone``: TIMEZONE, here and below."""
    return (
        f"waits for a person's approval {one.id}, until {local(one.expires_at, zone)};"
        f" at a terminal: sermon-monitor approve {one.id}"
    )


def expired_words(one: Approval, zone: tzinfo) -> str:
    if one.holds_until is not None:
        return f"approval {one.id} by {one.who} was not used: the other gates did not pass until {local(one.holds_until, zone, '%H:%M')}"
    return f"nobody decided approval {one.id} until {local(one.expires_at, zone)}"


def undecidable(one: Approval, zone: tzinfo) -> str:
    """Why a decision about ``one`` does not count any more."""
    match one.state:
        case "granted" | "used":
            return f"approval {one.id} was granted already, by {one.who}"
        case "denied":
            return f"approval {one.id} was denied already, by {one.who}"
        case "overtaken":
            return f"approval {one.id} is overtaken: {one.words}"
        case _:
            return f"approval {one.id} has expired, at {local(one.expires_at, zone)}"
