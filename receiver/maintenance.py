"""Maintenance windows: while one is open no step runs and nobody is called; what fires is shown all the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.markdown import clean
from receiver.note import Note
from receiver.records import Window
from receiver.store import messages, windows
from receiver.words import stamp
from target.durations import format_duration

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=24)
"""Longer than a day is no maintenance any more but a monitoring that is switched off."""


def problem_of(length: timedelta, reason: str) -> str:
    """Why a window may not be opened, in words; empty where it may."""
    if not SHORTEST <= length <= LONGEST:
        return f"allowed: from {format_duration(SHORTEST)} to {format_duration(LONGEST)}"
    if not reason.strip():
        return "a reason is needed: whoever sees an alert meanwhile will ask"
    return ""


def words_of(window: Window | None) -> str:
    """For the gate: why no step runs now; empty without a window."""
    if window is None:
        return ""
    return f"maintenance until {window.ends_at:%H:%M} UTC: {window.reason}"


def announce(c: Connection, notifier: str, now: datetime) -> int:
    """Tell of every beginning and end that has come. Returns how many messages that made.

    A window that was over before its beginning could be told is told of once, as over.
    """
    told = 0
    for window in windows.to_tell(c, now):
        over = window.ends_at <= now
        messages.add_note(
            c, _note(window, over=over), notifier, now, topic=f"maintenance {window.id}"
        )
        messages.add_event(
            c, None, f"maintenance {'over' if over else 'begins'}", window.reason, now
        )
        windows.told(c, window, 2 if over else 1)
        told += 1
    return told


def _note(window: Window, *, over: bool) -> Note:
    reason = clean(window.reason, 300)
    if over:
        return Note(
            title="Maintenance is over",
            text=f"{reason}\nAlerts are acted on again; what still fires is acted on now.",
        )
    until = f"{stamp(window.ends_at, 't')} ({stamp(window.ends_at, 'R')})"
    return Note(
        title="Maintenance begins",
        text=f"{reason}\nUntil {until} alerts are shown, and nothing is done about them by itself.",
        severity="info",
    )
