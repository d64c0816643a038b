"""When the daily digest is due, and what it then covers. Pure.

A slot is a local day and a local time. On the day on which that time does not exist (the clock goes
forward) it is due as long after midnight as ever; where it exists twice, the first time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

LONGEST = timedelta(days=7)
"""A digest covers no more, however long we were away."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Period:
    """One digest: the local day it is due on, when, and what it tells of."""

    day: date
    due_at: datetime
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Last:
    """The last digest: its day, the end of what it covered; its beginning, where it still waits to be sent."""

    day: date
    covers_to: datetime
    unsent_from: datetime | None = None


def moment_of(day: date, at: time, zone: tzinfo) -> datetime:
    """The slot of a day, in UTC."""
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def latest_slot(now: datetime, at: time, zone: tzinfo) -> tuple[date, datetime]:
    """The newest slot that has come."""
    today = now.astimezone(zone).date()
    for day in (today, today - DAY):
        moment = moment_of(day, at, zone)
        if moment <= now:
            return day, moment
    return today - 2 * DAY, moment_of(today - 2 * DAY, at, zone)


def period_due(now: datetime, at: time, zone: tzinfo, last: Last) -> Period | None:
    """The one digest that is due now, however many slots have passed; None where there is none.

    What a digest covered that could not be sent until now, the next one covers too.
    """
    day, due_at = latest_slot(now, at, zone)
    if day <= last.day:
        return None
    since = max(last.unsent_from or last.covers_to, due_at - LONGEST)
    if since >= due_at:  # the time of day or the zone was set to an earlier one
        since = due_at - DAY
    return Period(day, due_at, since, due_at)
