"""Which backups stay: a few of each kind of time, and all that a person made. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from recovery.backup.manifest import Manifest


@dataclass(frozen=True)
class Retention:
    """How many days, weeks and months that have a backup keep their newest one."""

    daily: int
    weekly: int
    monthly: int


Slot = Callable[[datetime], str]
_SLOTS: tuple[tuple[str, Slot], ...] = (
    ("daily", lambda at: f"{at:%Y-%m-%d}"),
    ("weekly", lambda at: f"{at:%G-W%V}"),
    ("monthly", lambda at: f"{at:%Y-%m}"),
)


def staying(backups: Sequence[Manifest], keep: Retention, now: datetime) -> dict[str, str]:
    """By name, why it stays. What is not in it may go.

    A person's own go by a person's hand. The newest and the newest with the sermons always stay. What was
    made before a change stays ``daily`` days. Days without a backup count for nothing: a machine that was
    off for a month loses none. What is of the future, by a wrong clock, stays until its time has come, and takes
    no other's place.
    """
    past = [one for one in backups if one.created_at <= now]
    ordered = sorted(past, key=lambda one: one.created_at, reverse=True)
    reasons = {one.name: "its time is still to come" for one in backups if one.created_at > now}

    def stays(one: Manifest, why: str) -> None:
        reasons.setdefault(one.name, why)

    for one in ordered[:1]:
        stays(one, "the newest")
    for one in [m for m in ordered if m.data is not None][:1]:
        stays(one, "the newest with the sermons")
    for one in ordered:
        if one.kind == "by_hand":
            stays(one, "made by hand")
        elif one.kind == "before" and now - one.created_at < timedelta(days=keep.daily):
            stays(one, "made before a change, lately")
    for name, slot in _SLOTS:
        for one in _newest_of_each(ordered, slot, getattr(keep, name)):
            stays(one, f"{name}: {slot(one.created_at)}")
    return reasons


def _newest_of_each(ordered: Iterable[Manifest], slot: Slot, most: int) -> list[Manifest]:
    found: dict[str, Manifest] = {}
    for one in ordered:
        if one.kind == "daily":
            found.setdefault(slot(one.created_at), one)
    return list(found.values())[:most]
