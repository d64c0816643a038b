"""When maintenance windows are: what may be opened, and the recurring ones of policy.yml. Pure.

A recurring window begins at a local time of TIMEZONE and lasts for a real span of time, whatever the
clocks are set to meanwhile. A beginning that a change to summer time leaves out comes as much later
as the clocks were put forward; one that comes twice is the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from target.durations import Duration, format_duration

SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=24)
"""Longer than a day is no maintenance any more but a monitoring that is switched off."""
LONGEST_REASON = 500
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def problem_of(length: timedelta, reason: str, longest: timedelta = LONGEST) -> str:
    """Why a window may not be opened, in words; empty where it may."""
    if not SHORTEST <= length <= longest:
        return f"allowed: from {format_duration(SHORTEST)} to {format_duration(longest)}"
    if not reason.strip():
        return "a reason is needed: whoever sees an alert meanwhile will ask"
    return ""


def _time(value: Any) -> Any:
    # YAML 1.1 reads 22:30 without quotes as a number in base 60: as minutes, here.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(value // 60, value % 60)
    try:
        return datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007 - a time of day has no zone
    except (TypeError, ValueError):
        raise ValueError(f'allowed: a time of day like "02:00"; got {value!r}') from None


class Recurring(BaseModel):
    """``{days: [tue], from: "02:00", for: 1h, reason: …}``: every week, in local time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    begin: Annotated[time, BeforeValidator(_time)] = Field(alias="from")
    length: Duration = Field(alias="for")
    reason: Annotated[str, Field(max_length=LONGEST_REASON)]
    silence: bool = False
    """Alertmanager is silent too."""

    @model_validator(mode="after")
    def _may_be(self) -> Recurring:
        if problem := problem_of(self.length, self.reason):
            raise ValueError(problem)
        return self


@dataclass(frozen=True)
class Occurrence:
    """One time that a recurring window comes, from ``starts_at`` until just before ``ends_at`` (UTC)."""

    starts_at: datetime
    ends_at: datetime
    reason: str
    silence: bool


@dataclass(frozen=True)
class Calendar:
    """The recurring windows of policy.yml, and in which zone their times are meant."""

    windows: Sequence[Recurring]
    zone: tzinfo


def occurrences(
    calendar: Calendar, now: datetime, ahead: timedelta = timedelta(0)
) -> list[Occurrence]:
    """Those that are open at ``now``, and those that begin within ``ahead`` after it, in order."""
    today = now.astimezone(calendar.zone).date()
    days = [today + timedelta(days=n) for n in range(-2, ahead.days + 3)]
    found = [
        Occurrence(starts_at, starts_at + window.length, window.reason, window.silence)
        for window in calendar.windows
        for day in days
        if DAYS[day.weekday()] in window.days
        for starts_at in [datetime.combine(day, window.begin, calendar.zone).astimezone(UTC)]
        if starts_at <= now + ahead and starts_at + window.length > now
    ]
    return sorted(found, key=lambda one: (one.starts_at, one.reason))
