"""Sees to the daily digest: once a day, late rather than never, and never twice.

Whatever it needs is in the store: the day it was due on and what it covered are committed together
with the message, so that neither a crash nor a restart makes another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

import structlog

from receiver.clock import Clock
from receiver.digest import figures as digest_figures
from receiver.digest.message import Contents, compose
from receiver.digest.slot import DAY, Period, latest_slot, period_due
from receiver.http import Http
from receiver.rollback.way_back import LEDGER
from receiver.rounds import look_for_ever
from receiver.settings import ReceiverSettings
from receiver.store import digests, messages
from receiver.store.database import Database
from target import versions
from target.version_keeper import LedgerFile
from target.versions import Release

log = structlog.get_logger("digest")
TOPIC = "digest"
PACE_SECONDS = 20.0
GRACE = timedelta(minutes=5)
"""After it is due, or after our start: how long a Prometheus that does not answer is waited for."""


class DigestKeeper:
    """Looks every few seconds whether a digest is due. ``wake`` after one was made."""

    def __init__(
        self,
        database: Database,
        settings: ReceiverSettings,
        clock: Clock,
        http: Http,
        notifier: str,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._http = http
        self._notifier = notifier
        self._wake = wake
        self._began = clock.now()

    async def run(self) -> None:
        await look_for_ever(self.look, PACE_SECONDS, log)

    async def look(self) -> bool:
        """Make the digest that is due. Whether one was made. Raises StoreError."""
        now = self._clock.now()
        period = await self._database.run(lambda c: self._due(c, now))
        if period is None:
            return False
        contents = await gather(
            self._database, self._settings, self._http, period.since, period.until
        )
        waited = now - max(period.due_at, self._began)
        if contents.figures.may_return and timedelta(0) <= waited < GRACE:
            return False
        made = await self._database.run(lambda c: self._make(c, period, contents))
        if made:
            log.info("digest", day=period.day.isoformat())
            self._wake()
        return made

    def _due(self, c: Connection, now: datetime) -> Period | None:
        at, zone = self._settings.digest_time, self._settings.zone
        if at is None:
            return None
        last = digests.last(c, now)
        if last is None:
            day, moment = latest_slot(now, at, zone)
            digests.begin(c, day, moment, now)
            return None
        return period_due(now, at, zone, last)

    def _make(self, c: Connection, period: Period, contents: Contents) -> bool:
        if not digests.claim(c, period):
            return False
        now = self._clock.now()
        number = messages.add_note(c, compose(contents), self._notifier, now, topic=TOPIC)
        digests.posted(c, period, number)
        return True


async def gather(
    database: Database, settings: ReceiverSettings, http: Http, since: datetime, until: datetime
) -> Contents:
    """What happened between two moments. Raises StoreError."""
    happened = await database.run(lambda c: digests.happened(c, since, until))
    return await complete(happened, settings, http, since, until)


async def complete(
    happened: digests.Happened,
    settings: ReceiverSettings,
    http: Http,
    since: datetime,
    until: datetime,
) -> Contents:
    """What the store knows, with Prometheus' figures and the ledger's deployments."""
    found, problem = await asyncio.to_thread(_deployments, settings.state_dir, since, until)
    return Contents(
        since=since,
        until=until,
        happened=happened,
        figures=await digest_figures.ask(
            http, settings.prometheus_url, since, until, settings.own_host
        ),
        deployments=found,
        ledger_problem=problem,
    )


def _deployments(directory: Path, since: datetime, until: datetime) -> tuple[list[Release], str]:
    try:
        ledger, problem = LedgerFile(directory / LEDGER).read()
    except OSError as error:
        return [], f"the version ledger cannot be read: {error.strerror}"
    return [
        one for one in versions.deployments(ledger) if since <= one.since < until
    ], problem or ""


def covered_until(c: Connection, now: datetime) -> datetime:
    """Where the next digest begins."""
    last = digests.last(c, now)
    return (last.unsent_from or last.covers_to) if last else now - DAY
