"""Maintenance windows: while one is open no step runs and nobody is called; what fires is shown all the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from sqlite3 import Connection

from receiver.maintenance.calendar import Calendar, occurrences
from receiver.records import Step, Window
from receiver.store import messages, steps, windows
from receiver.telling.markdown import clean
from receiver.telling.note import Note
from receiver.telling.words import stamp

MOST_GRACES = 3
"""Deployments in a row put the steps off for at most so many times the grace."""


def words_of(window: Window | None, zone: tzinfo = UTC) -> str:
    """For the gate: why no step runs now; empty without a window. ``zone``: TIMEZONE."""
    if window is None:
        return ""
    return f"maintenance until {window.ends_at.astimezone(zone):%H:%M %Z}: {window.reason}"


def open_recurring(c: Connection, calendar: Calendar, now: datetime) -> None:
    """Store the occurrences whose time it is. One that was ended by hand stays ended."""
    for one in occurrences(calendar, now):
        windows.open_window(
            c, one.starts_at, one.ends_at, one.reason, "recurring", now, silence=one.silence
        )


def grace_until(since: datetime, grace: timedelta, recent: Sequence[Window]) -> datetime | None:
    """How long the steps wait for a version that runs since ``since``. Pure.

    ``recent``: windows of earlier deployments, the newest first. None where they have put the steps
    off long enough: whoever deploys a bad version again and again must not keep us from acting.
    """
    first = since
    for window in recent:
        if window.ends_at + grace < first:
            break
        first = min(first, window.starts_at)
    until = min(since + grace, first + MOST_GRACES * grace)
    return until if until > since else None


def ours(since: datetime, rollbacks: Sequence[Step]) -> bool:
    """Whether a version that runs since then came by a rollback of ours, which is followed anyway. Pure."""
    return any(
        step.started_at is not None
        and step.started_at <= since
        and (step.ended_at is None or since <= step.ended_at)
        for step in rollbacks
    )


def open_around_deployment(
    c: Connection, title: str, since: datetime, grace: timedelta, now: datetime
) -> bool:
    """Another version runs since ``since``. Whether that opened a window: once, however often it is told.

    A window that was opened for a deployment to come ends with the grace of what has come. Where the
    clock was set back since, ``since`` lies ahead: the grace begins now.
    """
    if ours(since, steps.started(c, "rollback", since - timedelta(days=1))):
        return False
    begin = min(since, now)
    until = grace_until(begin, grace, windows.of_deployments(c, begin))
    if until is None or until <= now:
        return False
    reason = f"deployment of {title}"[:500]
    if not windows.open_window(c, begin, until, reason, "deployment", now, about=since):
        return False
    windows.shorten_expected(c, until, now)
    return True


def keep_windows(c: Connection, calendar: Calendar, notifier: str, now: datetime) -> int:
    """Open what recurs and has come, and tell of each beginning and end. Returns how many messages that made."""
    windows.keep_begun(c, now)
    open_recurring(c, calendar, now)
    return announce(c, notifier, now)


def announce(c: Connection, notifier: str, now: datetime) -> int:
    """Tell of every beginning and end that has come. Returns how many messages that made.

    A window that was over before its beginning could be told is told of once, as over. The end of a
    deployment's window is only put on record.
    """
    made = 0
    for window in windows.to_tell(c, now):
        over = window.ends_at <= now
        kind = f"maintenance {'over' if over else 'begins'}"
        messages.add_event(c, None, kind, f"{window.reason} ({window.origin})", now)
        windows.told(c, window, 2 if over else 1)
        if not (over and window.origin == "deployment"):
            topic = f"maintenance {window.id}"
            messages.add_note(c, _note(window, over=over), notifier, now, topic=topic)
            made += 1
    return made


def _note(window: Window, *, over: bool) -> Note:
    reason = clean(window.reason, 300)
    if over:
        return Note(
            title="Maintenance is over",
            text=f"{reason}\nAlerts are acted on again; what still fires is acted on now.",
        )
    until = f"{stamp(window.ends_at, 't')} ({stamp(window.ends_at, 'R')})"
    titles = {"deployment": "A deployment"}
    silent = " Alertmanager is silent meanwhile." if window.silence else ""
    return Note(
        title=titles.get(window.origin, "Maintenance begins"),
        text=f"{reason}\nUntil {until} alerts are shown, and nothing is done about them by itself.{silent}",
        severity="info",
    )
