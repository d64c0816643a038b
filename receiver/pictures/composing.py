"""An incident and its signal as a drawing: which hour, which moments, in whose time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from receiver.pictures.drawing import MOST_MARKS, Drawing, Mark, MarkKind
from receiver.pictures.signals import Signal
from receiver.records import SEVERITIES, AlertInstance
from receiver.store.history import History

LEAST_SHOWN = timedelta(hours=1)
BEFORE = timedelta(minutes=15)
"""What is always shown of the time before the incident, however long it lasted."""
AFTER = timedelta(minutes=2)
"""What is shown after its end, so that the recovery is on the picture."""
MOST_ALERTS = 3
"""Whose signals are looked for; each costs Prometheus some queries."""
LONGEST_TITLE, LONGEST_MARK = 44, 46
"""Characters, as they fit."""
_TICKS = 4
_ACTIONS = {
    "restart": "a restart begins",
    "rollback": "a rollback begins",
    "cleanup": "a clean-up of the disk begins",
    "emergency_stop": "an emergency stop begins",
    "person": "a person is called",
}


@dataclass(frozen=True)
class Deployment:
    """When another version took over."""

    at: datetime
    title: str


@dataclass(frozen=True)
class Measured:
    """What Prometheus has of a signal."""

    signal: Signal
    unit: str
    points: Sequence[tuple[float, float | None]]


def window(history: History, now: datetime) -> tuple[datetime, datetime]:
    """What is shown: the last hour, and the incident whole where it lasted longer."""
    over = history.incident.resolved_at
    end = min(now, over + AFTER) if over else now
    return min(end - LEAST_SHOWN, history.incident.opened_at - BEFORE), end


def in_question(history: History, known: int | None) -> list[AlertInstance]:
    """Whose signal may be drawn, the likeliest first. ``known``: the alert whose was drawn before."""

    def rank(alert: AlertInstance) -> tuple[bool, int, datetime, int]:
        return (alert.id != known, -SEVERITIES.index(alert.severity), alert.first_seen, alert.id)

    first: dict[tuple[str, str], AlertInstance] = {}
    for alert in sorted(history.alerts, key=rank):
        first.setdefault((alert.name, alert.labels.get("cause", "")), alert)
    return list(first.values())[:MOST_ALERTS]


def compose(
    history: History,
    alert: AlertInstance,
    measured: Measured,
    deployments: Iterable[Deployment],
    shown: tuple[datetime, datetime],
    zone: tzinfo,
) -> Drawing:
    """``shown``: see window(). ``zone``: TIMEZONE; times on a picture are not the reader's own."""
    begin, end = shown
    summary = alert.annotations.get("summary", "")
    return Drawing(
        title=plain(f"{alert.name}: {summary}" if summary else alert.name, LONGEST_TITLE),
        unit=measured.unit,
        comparison=measured.signal.comparison,
        threshold=measured.signal.threshold,
        begin=begin.timestamp(),
        end=end.timestamp(),
        points=measured.points,
        marks=_marks(history, deployments, shown, zone),
        ticks=_ticks(begin, end, zone),
        span=_span(begin.astimezone(zone), end.astimezone(zone)),
        zone=str(zone) if zone is not UTC else "UTC",
    )


def plain(text: str, most: int) -> str:
    """One printable line of at most ``most`` characters."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _marks(
    history: History,
    deployments: Iterable[Deployment],
    shown: tuple[datetime, datetime],
    zone: tzinfo,
) -> list[Mark]:
    begin, end = shown
    long = end - begin > timedelta(hours=20)

    def mark(at: datetime, kind: MarkKind, words: str) -> Mark:
        local = at.astimezone(zone)
        clock = f"{local:%a %H:%M}" if long else f"{local:%H:%M}"
        return Mark(at.timestamp(), kind, clock, plain(words, LONGEST_MARK))

    found = [mark(one.at, "deployment", f"{one.title} is deployed") for one in deployments]
    seen: set[str] = set()
    for alert in sorted(history.alerts, key=lambda a: a.first_seen):
        if alert.name not in seen:
            found.append(mark(alert.first_seen, "alert", f"{alert.name} fires"))
        seen.add(alert.name)
    for step in history.steps:
        if step.started_at and step.action in _ACTIONS:
            found.append(mark(step.started_at, "action", _ACTIONS[step.action]))
    if history.incident.resolved_at:
        found.append(mark(history.incident.resolved_at, "recovery", "the incident is over"))
    return _most(
        sorted(
            [m for m in found if begin.timestamp() <= m.at <= end.timestamp()], key=lambda m: m.at
        )
    )


def _most(marks: list[Mark]) -> list[Mark]:
    """The end, the first alert, what was done last and what was deployed last before all others."""
    kept: list[Mark] = [m for m in marks if m.kind == "recovery"]
    kept += [m for m in marks if m.kind == "alert"][:1]
    for kind in ("action", "deployment"):
        kept += [m for m in marks if m.kind == kind][-3:]
    kept += [m for m in marks if m.kind == "alert"][1:]
    return sorted(kept[:MOST_MARKS], key=lambda m: m.at)


def _ticks(begin: datetime, end: datetime, zone: tzinfo) -> list[tuple[float, str]]:
    """Whole quarters of hours, hours or days, as they fit."""
    length = (end - begin).total_seconds()
    step = next((s for s in (900, 1800, 3600, 7200, 14_400, 21_600, 43_200) if length / s <= _TICKS), 86_400 * max(1, round(length / 86_400 / _TICKS)))  # fmt: skip
    offset = (end.astimezone(zone).utcoffset() or timedelta()).total_seconds()
    form = "%H:%M" if step < 43_200 else "%a %d"
    first = -(-(begin.timestamp() + offset) // step) * step - offset
    count = int((end.timestamp() - first) // step) + 1
    moments = [first + number * step for number in range(count)]
    return [(at, f"{datetime.fromtimestamp(at, zone):{form}}") for at in moments]


def _span(begin: datetime, end: datetime) -> str:
    last = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%d %b %H:%M}"
    return f"{begin:%d %b %H:%M} to {last}"
