"""Which ends are Alertmanager's word alone, and what proves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import pytest

from receiver.deciding.policy import parse_policy
from receiver.hearing.sight import Pulse, proved_until, still_open, unshown
from receiver.hearing.watchdog import FINGERPRINT
from receiver.records import AlertInstance

SHIPPED = parse_policy(resources.files("monitoring").joinpath("policy.yml").read_text("utf-8"))
NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
SETTLE = timedelta(seconds=150)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def over(name: str, minutes_ago: float | None = 1.0, **changes: Any) -> AlertInstance:
    labels = {"alertname": name, "severity": "critical", "cause": "app"}
    ended = None if minutes_ago is None else ago(minutes_ago)
    fingerprint = changes.get("fingerprint", name)
    return AlertInstance(1, 1, fingerprint, name, "critical", labels, {}, NOW, NOW, NOW, ended, 0)


BEATING, NEVER = Pulse(ago(0.5), False, None), Pulse(None, False, None)
BLIND, BACK = Pulse(ago(9), True, None), Pulse(ago(0.5), False, ago(1.5))


@pytest.mark.parametrize(
    ("pulse", "minutes_ago"),
    [
        (BEATING, 3.0),
        (Pulse(ago(0), False, ago(30)), 2.5),
        (BLIND, None),
        (NEVER, None),
        (BACK, None),  # back for less than SETTLE: Prometheus may not have told all yet
    ],
)
def test_until_when_the_watchdog_proves_ends(pulse: Pulse, minutes_ago: float | None) -> None:
    wanted = None if minutes_ago is None else ago(minutes_ago)
    assert proved_until(pulse, SETTLE) == wanted


@pytest.mark.parametrize(
    ("alerts", "pulse", "signal", "names"),
    [
        ([over("DockerDaemonDown")], BEATING, True, ["DockerDaemonDown"]),
        ([over("DockerDaemonDown", 4)], BEATING, True, []),
        ([over("DockerDaemonDown", 4)], BACK, True, ["DockerDaemonDown"]),
        ([over("DockerDaemonDown", 4)], BLIND, True, ["DockerDaemonDown"]),
        ([over("DockerDaemonDown")], NEVER, True, []),
        ([over("DockerDaemonDown", None)], BLIND, True, []),
        ([over("ServiceDown")], BLIND, True, []),
        ([over("MinIODown"), over("ContainerNotRunning")], BLIND, True, []),
        ([over("HighErrorRate")], BEATING, True, []),
        ([over("HighErrorRate")], BEATING, False, ["HighErrorRate"]),
        ([over("HighErrorRate")], BLIND, True, ["HighErrorRate"]),
        ([over("ServiceDown"), over("DockerDaemonDown")], BLIND, True, ["DockerDaemonDown"]),
        ([over("ServiceDown"), over("ContainerOOMKilled")], BLIND, True, []),
        ([over("AnyOther")], BLIND, True, ["AnyOther"]),
        ([over("WatchdogMissing", fingerprint=FINGERPRINT)], BEATING, True, []),
    ],
)
def test_what_nothing_but_alertmanagers_word_shows(
    alerts: list[AlertInstance], pulse: Pulse, signal: bool, names: list[str]
) -> None:
    assert [a.name for a in unshown(alerts, SHIPPED, pulse, SETTLE, signal=signal)] == names


WATCHDOG = {"alertname": "Watchdog", "severity": "none"}


@pytest.mark.parametrize(
    ("active", "open_"),
    [
        ([WATCHDOG], False),
        ([WATCHDOG, {"alertname": "DockerDaemonDown", "severity": "critical"}], True),
        ([WATCHDOG, {"alertname": "DockerDaemonDown", "severity": "warning"}], False),
        ([WATCHDOG, {"alertname": "Other"}], False),
        ([{"alertname": "Other"}], True),
        ([], True),
    ],
)
def test_what_prometheus_itself_says_of_an_alert(active: list[dict[str, str]], open_: bool) -> None:
    alert = over("DockerDaemonDown")
    assert still_open([alert], active, ("Watchdog",)) == ([alert] if open_ else [])
