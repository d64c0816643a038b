"""``sermon-monitor status``: how it stands right now. ``gather`` looks, ``judge`` decides (pure), shown.py prints."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import click

from receiver.deciding.gates import Confirmation
from receiver.hearing.watchdog import FINGERPRINT
from receiver.http import Http, open_session
from receiver.maintenance.windows import words_of
from receiver.records import AlertInstance, Incident, Message, Step, Window
from receiver.settings import ReceiverSettings
from receiver.store import by_hand as hand
from receiver.store import heartbeats, incidents, steps, windows
from receiver.store.database import StoreError
from receiver.telling.delivery import DeliveryError
from receiver.verify import Confirmer
from receiver.way_back import LEDGER
from sermon_monitor import shown, store_file
from sermon_monitor.finding import Finding
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import settings_of
from target import versions
from target.durations import format_duration
from target.engine import Engine
from target.settings import split_address
from target.version_keeper import LedgerFile
from target.versions import Ledger

STUCK_AFTER = timedelta(minutes=10)
"""A message that waits for longer than this is a problem; the alert OutboxStuck says the same."""
GIVEN_UP_FOR = timedelta(days=1)
"""For so long a message that was given up is told of after its incident's end."""


@dataclass(frozen=True)
class OpenIncident:
    """One that is not over, with what fires and what was done."""

    incident: Incident
    alerts: Sequence[AlertInstance]
    steps: Sequence[Step]


@dataclass(frozen=True)
class Kept:
    """What the store remembers. Empty where there is no store yet."""

    open: Sequence[OpenIncident] = ()
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
    application: Confirmation
    minio: Confirmation
    kept: Kept = field(default_factory=Kept)
    trouble: str = ""
    """Why the store could not be read, in words."""
    ledger: Ledger = field(default_factory=Ledger)
    watchdog_timeout: timedelta = timedelta(minutes=5)


async def gather(settings: Settings) -> Seen:
    """Look at the process, the application, MinIO, the store and the ledger. Changes nothing."""
    engine = Engine(settings.docker_host)
    async with open_session() as session:
        http = Http(session)
        confirmer = Confirmer(settings, engine, http)
        try:
            receiver, application, minio = await asyncio.gather(
                _readiness(http, settings), confirmer.look("probe"), confirmer.look("minio")
            )
        finally:
            engine.close()
    now = datetime.now(UTC)
    kept, trouble = Kept(), ""
    try:
        if store_file.exists(settings.database_path):
            with store_file.looking(settings.database_path) as connection:
                kept = _read(connection, now)
    except StoreError as error:
        trouble = str(error)
    return Seen(
        now,
        receiver,
        application,
        minio,
        kept,
        trouble,
        _ledger(settings),
        settings.watchdog_timeout,
    )


async def _readiness(http: Http, settings: ReceiverSettings) -> str:
    host, port = split_address(settings.receiver_listen)
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not listened on
    address = f"[{local}]:{port}" if ":" in local else f"{local}:{port}"
    try:
        answer = await http.request("GET", f"http://{address}/readyz", headers={}, timeout=5.0)
    except DeliveryError:
        return f"nothing answers at {address}: the service does not run (or RECEIVER_LISTEN is another here)"
    return "" if answer.status == 200 else answer.words()


def _read(c: sqlite3.Connection, now: datetime) -> Kept:
    opened = [one for one in incidents.incidents(c) if one.state == "open" and not one.digest]
    beats = heartbeats.beats(c, FINGERPRINT)
    closed = {one.id for one in incidents.incidents(c, 500) if one.state == "resolved"}
    troubled = [
        message
        for message in hand.troubled(c)
        if message.revision > message.delivered
        or message.incident_id not in closed
        or now - message.due_at < GIVEN_UP_FOR
    ]
    return Kept(
        [OpenIncident(one, incidents.alerts(c, one.id), steps.steps(c, one.id)) for one in opened],
        troubled,
        windows.active(c, now),
        beats.newest,
        beats.missing,
    )


def _ledger(settings: Settings) -> Ledger:
    try:
        return LedgerFile(settings.state_dir / LEDGER).read()[0]
    except OSError:
        return Ledger()  # ``check`` says what is wrong with it


def judge(seen: Seen) -> dict[str, Any]:
    """Everything that ``status`` shows; ``healthy`` is true while no part is a problem. Pure."""
    parts = [
        Finding("problem", "service", seen.receiver)
        if seen.receiver
        else Finding("ok", "service", "ready"),
        _looked("application", seen.application),
        _looked("MinIO", seen.minio),
        *_versions(seen.ledger),
        _watchdog(seen),
        _incidents(seen),
        _outbox(seen),
    ]
    if seen.kept.window:
        parts.append(Finding("note", "maintenance", words_of(seen.kept.window)))
    if seen.trouble:
        parts.append(Finding("problem", "store", seen.trouble))
    return {
        "healthy": all(part.level != "problem" for part in parts),
        "version": version("sermon-monitor"),
        "at": seen.at,
        "parts": [asdict(part) for part in parts],
        "incidents": [_incident(one) for one in seen.kept.open],
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


def _looked(what: str, look: Confirmation) -> Finding:
    return Finding("problem" if look.sick else "ok", what, look.words)


def _versions(ledger: Ledger) -> list[Finding]:
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
        since = f"{present.since:%Y-%m-%d %H:%M} UTC"
        found.append(
            Finding("ok", "version", f"{service}: {present.title} since {since}, {proved}; {way}")
        )
    return found


def _watchdog(seen: Seen) -> Finding:
    last = seen.kept.last_beat
    if seen.kept.blind:
        return Finding("problem", "monitoring", "is blind: the Watchdog alert does not arrive")
    if last is None:
        return Finding("note", "monitoring", "no Watchdog alert has arrived yet")
    ago = seen.at - last
    words = f"the Watchdog alert arrived {format_duration(timedelta(seconds=int(ago.total_seconds())))} ago"
    return Finding("problem" if ago > seen.watchdog_timeout else "ok", "monitoring", words)


def _incidents(seen: Seen) -> Finding:
    count = len(seen.kept.open)
    if not count:
        return Finding("ok", "incidents", "none is open")
    return Finding("problem", "incidents", f"{count} {'is' if count == 1 else 'are'} open")


def _outbox(seen: Seen) -> Finding:
    waiting = [one for one in seen.kept.messages if one.revision > one.delivered]
    failed = [one for one in seen.kept.messages if one.error]
    if failed:
        return Finding(
            "problem",
            "outbox",
            f"{len(failed)} of {len(seen.kept.messages)} messages could not be told",
        )
    late = [one for one in waiting if seen.at - one.due_at > STUCK_AFTER]
    if late:
        return Finding("problem", "outbox", f"{len(late)} messages have waited for long")
    return Finding("ok", "outbox", f"{len(waiting)} messages wait" if waiting else "all is told")


def _incident(one: OpenIncident) -> dict[str, Any]:
    running = [step for step in one.steps if step.state == "running"]
    pending = sorted((s for s in one.steps if s.state == "pending"), key=lambda s: s.due_at)
    coming = ""
    if running:
        coming = f"{running[0].action} under way: {running[0].words}"
    elif pending:
        first = pending[0]
        coming = f"next: {first.action} at {first.due_at:%H:%M:%S} UTC{f' ({first.words})' if first.words else ''}"
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


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.pass_context
def status_command(context: click.Context, as_json: bool) -> None:
    """How it stands right now: healthy or not, and why. Exit 1 when it is not.

    Example: sermon-monitor status
    """
    settings = settings_of(context)
    with shown.progress("looking", quiet=as_json):
        now = judge(asyncio.run(gather(settings)))
    shown.status(now, as_json=as_json)
    sys.exit(0 if now["healthy"] else 1)
