"""An incident as one story: everything that happened, in order, whoever did it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from receiver.records import Event
from receiver.store.news import Post

Look = Literal["alert", "step", "person", "message", "end"]
_TOLD = {
    "card": "card",
    "call": "call beside the card",
    "note": "message",
    "files": "attached files",
}
_ALERTS = frozenset({"open", "join", "reopen", "truncated", "stray end"})
_MESSAGES = frozenset({"told", "not told", "not told any more"})
_ENDS = frozenset({"end", "over", "resolved"})


@dataclass(frozen=True)
class Entry:
    """One line. ``look``: which kind of thing it is, for its colour."""

    at: datetime
    look: Look
    title: str
    words: str
    who: str = ""


def timeline(events: Sequence[Event], posts: Sequence[Post]) -> list[Entry]:
    """The newest first. Of messages that were told, the trail itself says when."""
    entries = [_of_event(one) for one in events]
    entries += [_of_post(one) for one in posts if one.error or one.posted_at is None]
    return sorted(entries, key=lambda one: one.at, reverse=True)


def _of_event(one: Event) -> Entry:
    return Entry(one.at, _look(one), one.kind, one.words, one.who)


def _look(one: Event) -> Look:
    if one.who:
        return "person"
    if one.kind in _ALERTS:
        return "alert"
    if one.kind in _MESSAGES:
        return "message"
    return "end" if one.kind in _ENDS else "step"


def _of_post(one: Post) -> Entry:
    """What has not been told yet, or whose last change could not be."""
    what = f"{_TOLD.get(one.kind, one.kind)} on {one.notifier}"
    if one.posted_at is None:
        return Entry(one.since, "message", what, one.error or "waits to be told")
    return Entry(one.since, "message", what, f"the last change could not be told: {one.error}")
