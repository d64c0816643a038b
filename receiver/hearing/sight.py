"""Whether the end of an alert may be taken from Alertmanager, which also ends what it no longer hears of.

Prometheus repeats an alert that fires about once a minute, and Alertmanager ends it some minutes
after the last time. So an end is true where Prometheus itself, asked now, evaluates its rules and has
no such alert, not even a pending one; or where the Watchdog still came half a WATCHDOG_TIMEOUT later, because a
Prometheus that died would have ended both at about the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver.deciding.ending import CLEAR, Sight
from receiver.deciding.policy import Policy
from receiver.hearing.prometheus import active_alerts
from receiver.hearing.watchdog import FINGERPRINT
from receiver.http import Http
from receiver.records import AlertInstance
from receiver.settings import ReceiverSettings
from receiver.store import heartbeats
from receiver.store.database import Database
from receiver.store.history import History
from receiver.telling.delivery import DeliveryError

_OWN_LOOKS = ("probe", "minio", "container")


@dataclass(frozen=True)
class Pulse:
    """What the store remembers of the Watchdog."""

    last_beat: datetime | None
    missing: bool
    """The alert about its absence is open."""
    came_back: datetime | None
    """When its last absence ended."""


def read_pulse(c: Connection) -> Pulse:
    beats = heartbeats.beats(c, FINGERPRINT)
    return Pulse(beats.newest, beats.missing, heartbeats.came_back(c, FINGERPRINT))


def proved_until(pulse: Pulse, settle: timedelta) -> datetime | None:
    """Ends up to this moment are proved by the Watchdog; None: no end is. Pure."""
    if pulse.last_beat is None or pulse.missing:
        return None
    proved = pulse.last_beat - settle
    return None if pulse.came_back and proved < pulse.came_back else proved


def unshown(
    alerts: Sequence[AlertInstance],
    policy: Policy,
    pulse: Pulse,
    settle: timedelta,
    *,
    signal: bool,
) -> list[AlertInstance]:
    """The alerts that have ended by Alertmanager's word alone. Pure.

    ``signal``: Prometheus can be asked about a rule. Where no Watchdog has ever come there is
    nothing to go by, and the word is taken.
    """
    if pulse.last_beat is None and not pulse.missing:
        return []
    shown: tuple[str, ...] = _OWN_LOOKS
    if signal and not pulse.missing:
        shown = (*_OWN_LOOKS, "signal")
    until = proved_until(pulse, settle)
    asking = [alert for alert in alerts if policy.asks(alert.labels, alert.severity)]
    return [
        alert
        for alert in asking or alerts
        if alert.ended_at is not None
        and alert.fingerprint != FINGERPRINT
        and policy.row(alert.labels, alert.severity).confirm not in shown
        and (until is None or alert.ended_at > until)
    ]


def still_open(
    alerts: Sequence[AlertInstance], active: Sequence[Mapping[str, str]], heartbeat: Collection[str]
) -> list[AlertInstance]:
    """Of ``alerts``, those that what Prometheus holds as ``active`` does not show to be over. Pure.

    Where no heartbeat alert is in it, it does not evaluate our rules, and shows nothing.
    """
    if not any(labels.get("alertname") in heartbeat for labels in active):
        return list(alerts)
    return [a for a in alerts if any(labels.items() <= a.labels.items() for labels in active)]


class Lookback:
    """Gathers it for an incident."""

    def __init__(
        self, database: Database, settings: ReceiverSettings, policy: Policy, http: Http
    ) -> None:
        self._database = database
        self._settle = settings.watchdog_timeout / 2
        self._prometheus_url = settings.prometheus_url
        self._policy = policy
        self._http = http

    async def sight(self, history: History) -> Sight:
        """Raises StoreError."""
        pulse = await self._database.run(read_pulse)
        found = unshown(
            history.alerts,
            self._policy,
            pulse,
            self._settle,
            signal=self._prometheus_url is not None,
        )
        if found and not pulse.missing and self._prometheus_url is not None:
            found = await self._asked(self._prometheus_url, found)
        if not found and not pulse.missing:
            return CLEAR
        blind = "the Watchdog alert does not arrive" if pulse.missing else ""
        return Sight(blind, tuple(sorted({alert.name for alert in found})))

    async def _asked(self, url: str, alerts: list[AlertInstance]) -> list[AlertInstance]:
        try:
            return still_open(alerts, await active_alerts(self._http, url), self._policy.heartbeat)
        except DeliveryError:
            return alerts  # the Watchdog is waited for
