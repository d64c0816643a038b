"""Monitoring that has died must not look like health.

The Watchdog alert always fires. When it stops to arrive, the receiver says so itself: by an alert of
its own, which goes through the same intake as those of Alertmanager and so has a card, survives a
restart and ends when the Watchdog is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from sqlite3 import Connection
from typing import Literal

import structlog

from receiver.clock import Clock
from receiver.hearing.alertmanager import Alert, Webhook
from receiver.hearing.intake import Intake, accept
from receiver.settings import ReceiverSettings
from receiver.store import heartbeats
from receiver.store.database import Database, StoreError
from target.durations import format_duration
from target.times import local

log = structlog.get_logger("watchdog")
NAME = "WatchdogMissing"
SERVICE = "sermon-monitor"
FINGERPRINT = "sermon-monitor:WatchdogMissing"
"""None that Alertmanager could give: its own are 16 hexadecimal digits."""
RUNBOOK = "https://github.com/White-Plains-Gospel-Chapel/sermon-monitor/blob/main/docs/runbooks/Watchdog.md"
LONGEST_PACE = 15.0
"""Seconds between two looks at most; a tenth of WATCHDOG_TIMEOUT where that is shorter."""
JUMP = timedelta(minutes=1)
"""A pause of ours or a step of the clock that is longer counts as a gap: something may have been missed."""


@dataclass(frozen=True)
class Silence:
    """How long it has been quiet, and what was to be expected."""

    last_beat: datetime | None
    """By the wall clock; only told, never counted from."""
    quiet: timedelta
    """Since the last beat, or since our start where none came; by a clock that nobody can set."""
    timeout: timedelta
    expected: bool
    """Alertmanager or Prometheus is configured, though no Watchdog may have come yet."""
    now: datetime
    zone: tzinfo = UTC
    """TIMEZONE."""


@dataclass(frozen=True)
class Absence:
    """Whether the Watchdog is overdue, since when, and what people are told of it."""

    overdue: bool
    since: datetime
    words: str = ""


def judge_silence(silence: Silence) -> Absence:
    """Pure. Overdue once it has been quiet for WATCHDOG_TIMEOUT; never where no Watchdog is to be expected."""
    since = silence.now - silence.quiet
    if silence.last_beat is not None:
        since = min(since, silence.last_beat)
    overdue = silence.quiet >= silence.timeout
    if not overdue or (silence.last_beat is None and not silence.expected):
        return Absence(False, since)
    if silence.last_beat is None:
        return Absence(
            True, since, "the Watchdog alert has never arrived, although monitoring is configured"
        )
    return Absence(
        True, since, f"the Watchdog alert has not arrived since {local(since, silence.zone)}"
    )


def alert_of(absence: Absence, status: Literal["firing", "resolved"], timeout: timedelta) -> Alert:
    """The absence as an alert."""
    return Alert.model_construct(
        status=status,
        labels={
            "alertname": NAME,
            "severity": "critical",
            "category": "pipeline",
            "service": SERVICE,
        },
        annotations={
            "summary": "Monitoring is blind: no news is not good news",
            "description": (
                f"{(absence.words[:1].upper() + absence.words[1:]) or 'The Watchdog alert has not arrived'}"
                f" (it is due at least every {format_duration(timeout)}). Prometheus, Alertmanager or the"
                " way from them to here does not work, so nothing else that breaks would be told. On the"
                " machine, type: docker compose -f docker-compose.monitoring.yml ps"
            ),
            "runbook_url": RUNBOOK,
        },
        starts_at=absence.since,
        fingerprint=FINGERPRINT,
    )


def webhook_of(*alerts: Alert) -> Webhook:
    """Alerts that did not come by a webhook, as the intake takes them."""
    return Webhook(
        version="4", group_key="", status="firing", receiver=SERVICE, alerts=list(alerts)
    )


@dataclass(frozen=True)
class _Seen:
    """What one look found and did."""

    last: Mapping[str, datetime]
    came: bool
    absence: Absence
    change: Literal["", "firing", "resolved"]


class Watchdog:
    """Looks at the stored beats every few seconds.

    ``gap`` is called with a reason whenever webhooks may have been missed; ``beat`` whenever the
    Watchdog has come; ``wake`` after a change. ``refused`` tells how many webhooks the store has not
    taken so far.
    """

    def __init__(
        self,
        database: Database,
        intake: Intake,
        settings: ReceiverSettings,
        clock: Clock,
        *,
        gap: Callable[[str], None],
        beat: Callable[[], None],
        wake: Callable[[], None],
        refused: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._intake = intake
        self._timeout = settings.watchdog_timeout
        self._zone = settings.zone
        self._expected = bool(settings.alertmanager_url or settings.prometheus_url)
        self._clock = clock
        self._gap = gap
        self._beat = beat
        self._wake = wake
        self._refused = refused
        self._monotonic = monotonic
        self._pace = min(LONGEST_PACE, self._timeout.total_seconds() / 10)
        self._last: Mapping[str, datetime] | None = None
        self._beat_at = self._heard_at = self._looked_at = monotonic()
        self._wall = clock.now()
        self._beaten = False
        self._broken = ""
        self._refusals = refused()

    def heard(self) -> None:
        """A webhook was accepted."""
        now = self._monotonic()
        if now - self._heard_at > self._timeout.total_seconds():
            self._gap("nothing had arrived for longer than WATCHDOG_TIMEOUT")
        self._heard_at = now

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except StoreError as error:
                self._unusable(str(error))
            except Exception:  # a fault of ours here must not stop what else the receiver does
                log.exception("our own fault; looking again")
            await asyncio.sleep(self._pace)

    async def look(self) -> None:
        """One look; raises the alert about the absence or ends it. Raises StoreError."""
        self._notice_jump()
        quiet_since = self._beat_at
        seen = await self._database.run(lambda c: self._change(c, quiet_since))
        self._usable()
        self._notice_refusals()
        self._last = seen.last
        if seen.came:
            self._beat_at, self._beaten = self._monotonic(), True
            self._beat()
        if seen.change == "firing":
            log.error("monitoring is blind", problem=seen.absence.words)
        if seen.change == "resolved":
            log.info("the Watchdog arrives again")
            self._gap("the Watchdog had stopped")
        if seen.change:
            self._wake()

    def _change(self, c: Connection, quiet_since: float) -> _Seen:
        """In one transaction: how things stand, and the alert that follows from it."""
        now = self._clock.now()
        beats = heartbeats.beats(c, FINGERPRINT)
        came = self._last is not None and beats.last != self._last
        quiet = 0.0 if came else self._monotonic() - quiet_since
        absence = judge_silence(
            Silence(
                beats.newest,
                timedelta(seconds=quiet),
                self._timeout,
                self._expected,
                now,
                self._zone,
            )
        )
        change: Literal["", "firing", "resolved"] = ""
        if absence.overdue and not beats.missing:
            change = "firing"
        elif beats.missing and not absence.overdue and (came or self._beaten):
            change = "resolved"
        if change:
            accept(c, self._intake, webhook_of(alert_of(absence, change, self._timeout)), now)
        return _Seen(beats.last, came, absence, change)

    def _notice_jump(self) -> None:
        """We were stopped, or the clock was set: what came meanwhile, if anything, is not known.

        Whoever was stopped could hear no Watchdog: the time it has begins anew.
        """
        ticks, wall = self._monotonic(), self._clock.now()
        step = timedelta(seconds=ticks - self._looked_at)
        if step > JUMP:
            self._beat_at = self._heard_at = ticks
        if step > JUMP or abs(wall - self._wall - step) > JUMP:
            self._gap("this process was suspended, or the clock was set")
        self._looked_at, self._wall = ticks, wall

    def _notice_refusals(self) -> None:
        refusals = self._refused()
        if refusals > self._refusals:
            self._gap("the store could not take a webhook")
        self._refusals = refusals

    def _unusable(self, problem: str) -> None:
        if not self._broken:
            log.error("the store cannot be used; looking again", problem=problem)
        self._broken = problem

    def _usable(self) -> None:
        if self._broken:
            self._broken = ""
            self._gap("the store could not be used")
