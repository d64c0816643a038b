"""Approvals in words, the same on the card, the page, the board and in the terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from receiver.records import Approval, Ask

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


def waiting_words(one: Approval) -> str:
    """For a step that waits for a person."""
    return (
        f"waits for a person's approval {one.id}, until {one.expires_at:%Y-%m-%d %H:%M} UTC;"
        f" at a terminal: sermon-monitor approve {one.id}"
    )


def expired_words(one: Approval) -> str:
    if one.holds_until is not None:
        return f"approval {one.id} by {one.who} was not used: the other gates did not pass until {one.holds_until:%H:%M} UTC"
    return f"nobody decided approval {one.id} until {one.expires_at:%Y-%m-%d %H:%M} UTC"


def undecidable(one: Approval) -> str:
    """Why a decision about ``one`` does not count any more."""
    match one.state:
        case "granted" | "used":
            return f"approval {one.id} was granted already, by {one.who}"
        case "denied":
            return f"approval {one.id} was denied already, by {one.who}"
        case "overtaken":
            return f"approval {one.id} is overtaken: {one.words}"
        case _:
            return f"approval {one.id} has expired, at {one.expires_at:%Y-%m-%d %H:%M} UTC"
