"""How it stands right now: healthy or not in one look, and why. ``judge`` decides (pure) by what looking.py saw.

The board's first page, ``/status`` and ``sermon-monitor status`` show the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from importlib.metadata import version
from sqlite3 import Connection
from typing import Any, Literal

from receiver.board.looking import Sight
from receiver.deciding.gates import Confirmation
from receiver.hearing.watchdog import FINGERPRINT
from receiver.maintenance.windows import words_of
from receiver.records import AlertInstance, Incident, Message, Step, Window
from receiver.settings import ReceiverSettings
from receiver.store import by_hand as hand
from receiver.store import heartbeats, incidents, steps, windows
from target import versions
from target.durations import format_duration
from target.times import local
from target.versions import Ledger

STUCK_AFTER = timedelta(minutes=10)
"""A message that waits for longer than this is a problem; the alert OutboxStuck says the same."""
GIVEN_UP_FOR = timedelta(days=1)
"""For so long a message that was given up is told of after its incident's end."""


Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Part:
    """One thing that was looked at. ``problem`` makes the whole unhealthy; ``note`` is worth knowing."""

    level: Level
    what: str
    words: str


@dataclass(frozen=True)
class Listed:
    """An incident as it stands in a list: with what fires and what was done."""

    incident: Incident
    alerts: Sequence[AlertInstance]
    steps: Sequence[Step]


@dataclass(frozen=True)
class Kept:
    """What the store remembers. Empty where there is no store yet."""

    open: Sequence[Listed] = ()
    messages: Sequence[Message] = ()
    window: Window | None = None
    last_beat: datetime | None = None
    blind: bool = False


@dataclass(frozen=True)
class Seen:
    """Everything that ``judge`` goes by."""

    at: datetime
    receiver: str
    """What is wrong with the process, in words; empty while it is ready."""
    sight: Sight
    kept: Kept = field(default_factory=Kept)
    trouble: str = ""
    """Why the store could not be read, in words."""
    watchdog_timeout: timedelta = timedelta(minutes=5)
    disk_limit: float = 90.0
    """Percent, as the alert HighDiskUsage has it."""
    backup_limit: timedelta | None = None
    """As the alert BackupTooOld has it; None: no age is too old."""
    zone: tzinfo = UTC
    """TIMEZONE."""


def remember(c: Connection, now: datetime) -> Kept:
    """What the store says of now; its cost does not grow with the incidents that are over."""
    opened = [one for one in incidents.open_incidents(c) if not one.digest]
    beats = heartbeats.beats(c, FINGERPRINT)
    return Kept(
        listed(c, opened),
        [one for one in hand.troubled(c) if _matters(c, one, now)],
        windows.active(c, now),
        beats.newest,
        beats.missing,
    )


def listed(c: Connection, found: Sequence[Incident]) -> list[Listed]:
    return [Listed(one, incidents.alerts(c, one.id), steps.steps(c, one.id)) for one in found]


def _matters(c: Connection, message: Message, now: datetime) -> bool:
    """Whether it waits, or was given up lately or for an incident that is not over."""
    if message.revision > message.delivered or now - message.due_at < GIVEN_UP_FOR:
        return True
    if message.incident_id is None:
        return True
    found = incidents.incident(c, message.incident_id)
    return found is None or found.state != "resolved"


def seen(
    settings: ReceiverSettings,
    now: datetime,
    receiver: str,
    sight: Sight,
    kept: Kept,
    trouble: str = "",
) -> Seen:
    """With the limits in force."""
    return Seen(
        now,
        receiver,
        sight,
        kept,
        trouble,
        settings.watchdog_timeout,
        settings.disk_usage_threshold,
        settings.backup_max_age,
        settings.zone,
    )


def judge(seen: Seen) -> dict[str, Any]:
    """Everything that ``status`` shows; ``healthy`` is true while no part is a problem. Pure."""
    parts = [
        Part("problem", "service", seen.receiver)
        if seen.receiver
        else Part("ok", "service", "ready"),
        _looked("application", seen.sight.application),
        _looked("MinIO", seen.sight.minio),
        _docker(seen.sight),
        *_disks(seen),
        *_versions(seen.sight.ledger, seen.zone),
        _backup(seen),
        _watchdog(seen),
        _incidents(seen),
        _outbox(seen),
    ]
    if seen.kept.window:
        parts.append(Part("note", "maintenance", words_of(seen.kept.window, seen.zone)))
    if seen.trouble:
        parts.append(Part("problem", "store", seen.trouble))
    return {
        "healthy": all(part.level != "problem" for part in parts),
        "version": version("sermon-monitor"),
        "at": seen.at,
        "parts": [asdict(part) for part in parts],
        "incidents": [_incident(one, seen.zone) for one in seen.kept.open],
        "messages": [
            {
                "id": f"m{one.id}",
                "kind": one.kind,
                "incident": one.incident_id,
                "words": _waits(one),
            }
            for one in seen.kept.messages
            if one.error
        ],
    }


def _looked(what: str, look: Confirmation) -> Part:
    level: Level = "problem" if look.sick else "ok" if look.sick is False else "note"
    return Part(level, what, look.words)


def _docker(sight: Sight) -> Part:
    if sight.engine:
        return Part("problem", "Docker", sight.engine)
    count = sight.containers
    return Part(
        "ok",
        "Docker",
        f"{count} container{'' if count == 1 else 's'} run{'s' if count == 1 else ''}",
    )


def _disks(seen: Seen) -> list[Part]:
    return [
        Part(
            "problem" if not one.total or one.used_percent > seen.disk_limit else "ok",
            "disk",
            one.words,
        )
        for one in seen.sight.disks
    ]


def _backup(seen: Seen) -> Part:
    if seen.sight.backup_trouble:
        return Part("note", "backup", f"cannot be seen: {seen.sight.backup_trouble}")
    if seen.sight.backup is None:
        return Part("note", "backup", "there is none yet")
    age = max(timedelta(0), seen.at - seen.sight.backup)
    words = f"the newest is {_about(age)} old ({local(seen.sight.backup, seen.zone)})"
    old = seen.backup_limit is not None and age > seen.backup_limit
    return Part("problem" if old else "ok", "backup", words)


def _about(age: timedelta) -> str:
    seconds = int(age.total_seconds())
    return format_duration(
        timedelta(
            seconds=seconds - seconds % (3600 if seconds >= 86400 else 60 if seconds >= 60 else 1)
        )
    )


def _versions(ledger: Ledger, zone: tzinfo) -> list[Part]:
    services = dict.fromkeys(release.service for release in ledger.releases)
    found = []
    for service in services:
        present = versions.running(ledger, service)
        if present is None:
            continue
        proved = {"good": "proved good", "bad": "left as bad"}.get(
            present.verdict, "has not proved good yet"
        )
        back = versions.last_known_good(ledger, service, present.image_id)
        way = f"the way back is {back.title}" if back else "there is no way back yet"
        since = local(present.since, zone)
        found.append(
            Part("ok", "version", f"{service}: {present.title} since {since}, {proved}; {way}")
        )
    return found


def _watchdog(seen: Seen) -> Part:
    last = seen.kept.last_beat
    if seen.kept.blind:
        return Part("problem", "monitoring", "is blind: the Watchdog alert does not arrive")
    if last is None:
        return Part("note", "monitoring", "no Watchdog alert has arrived yet")
    ago = seen.at - last
    words = f"the Watchdog alert arrived {format_duration(timedelta(seconds=int(ago.total_seconds())))} ago"
    return Part("problem" if ago > seen.watchdog_timeout else "ok", "monitoring", words)


def _incidents(seen: Seen) -> Part:
    count = len(seen.kept.open)
    if not count:
        return Part("ok", "incidents", "none is open")
    return Part("problem", "incidents", f"{count} {'is' if count == 1 else 'are'} open")


def _outbox(seen: Seen) -> Part:
    waiting = [one for one in seen.kept.messages if one.revision > one.delivered]
    failed = [one for one in seen.kept.messages if one.error]
    if failed:
        return Part(
            "problem",
            "outbox",
            f"{len(failed)} of {len(seen.kept.messages)} messages could not be told",
        )
    late = [one for one in waiting if seen.at - one.due_at > STUCK_AFTER]
    if late:
        return Part("problem", "outbox", f"{len(late)} messages have waited for long")
    return Part("ok", "outbox", f"{len(waiting)} messages wait" if waiting else "all is told")


def _incident(one: Listed, zone: tzinfo) -> dict[str, Any]:
    running = [step for step in one.steps if step.state == "running"]
    pending = sorted((s for s in one.steps if s.state == "pending"), key=lambda s: s.due_at)
    coming = ""
    if running:
        coming = f"{running[0].action} under way: {running[0].words}"
    elif pending:
        first = pending[0]
        at = "" if first.asks else f" at {local(first.due_at, zone, '%H:%M:%S')}"
        coming = f"next: {first.action}{at}{f' ({first.words})' if first.words else ''}"
    return {
        "id": one.incident.id,
        "service": one.incident.service,
        "severity": one.incident.severity,
        "since": one.incident.opened_at,
        "firing": sorted({alert.name for alert in one.alerts if alert.firing}),
        "next": coming,
        "verdict": one.incident.verdict,
        "failed": [
            {"id": f"s{step.id}", "action": step.action, "state": step.state, "words": step.words}
            for step in one.steps
            if step.state in ("failed", "refused")
        ],
    }


def _waits(message: Message) -> str:
    about = f" of incident {message.incident_id}" if message.incident_id else ""
    waits = "waits" if message.revision > message.delivered else "was given up"
    return f"the {message.kind}{about} {waits}: {message.error}"
