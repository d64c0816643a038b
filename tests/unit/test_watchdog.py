"""When the Watchdog counts as missing, and what people are told then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import SecretStr

from receiver.hearing.watchdog import Silence, alert_of, judge_silence, webhook_of
from receiver.settings import ReceiverSettings
from receiver.telling.heartbeat import secret_parts
from target.settings import SettingsError, read_settings, secret

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
TIMEOUT = timedelta(minutes=5)


def silence(quiet_minutes: float, beat_minutes_ago: float | None, *, expected: bool) -> Silence:
    beat = None if beat_minutes_ago is None else NOW - timedelta(minutes=beat_minutes_ago)
    return Silence(beat, timedelta(minutes=quiet_minutes), TIMEOUT, expected, NOW)


@pytest.mark.parametrize(
    ("quiet", "beat", "expected", "overdue"),
    [
        (0, 0, True, False),
        (4.99, 4.99, True, False),
        (5, 5, True, True),
        (5, 5, False, True),  # it has come before: now it is missed
        (5, None, True, True),
        (500, None, False, False),  # nothing says that there is a Watchdog
        (1, 600, True, False),  # we have only just started
        (5, 600, True, True),
        (1, -180, True, False),  # the clock was set back by three hours
        (5, -180, True, True),  # which does not hide it
        (1, 181, True, False),  # set forward: no false alarm
    ],
)
def test_when_it_is_overdue(
    quiet: float, beat: float | None, expected: bool, overdue: bool
) -> None:
    absence = judge_silence(silence(quiet, beat, expected=expected))
    assert absence.overdue is overdue
    assert absence.since <= NOW
    assert bool(absence.words) is overdue


@pytest.mark.parametrize(
    ("beat", "words"),
    [
        (7, "has not arrived since 2026-03-07 22:53 UTC"),
        (-180, "has not arrived since 2026-03-07 22:54 UTC"),
        (None, "has never arrived, although monitoring is configured"),
    ],
)
def test_since_when_is_said(beat: float | None, words: str) -> None:
    assert words in judge_silence(silence(6, beat, expected=True)).words


def test_it_is_said_as_people_there_read_it() -> None:
    there = replace(silence(6, 7, expected=True), zone=ZoneInfo("Europe/Berlin"))
    assert judge_silence(there).words.endswith("since 2026-03-07 23:53 CET")


def test_the_alert_tells_a_volunteer_what_is_wrong_and_what_to_type() -> None:
    alert = alert_of(judge_silence(silence(6, 7, expected=True)), "firing", TIMEOUT)
    assert (alert.name, alert.severity, alert.service) == ("WatchdogMissing", "critical", "sermon-monitor")  # fmt: skip
    assert alert.annotations["description"].startswith("The Watchdog alert has not arrived since")
    assert "every 5m" in alert.annotations["description"]
    assert "docker compose" in alert.annotations["description"]
    back = alert_of(judge_silence(silence(0, 0, expected=True)), "resolved", TIMEOUT)
    assert back.key == alert.key
    assert webhook_of(alert, back).alerts == [alert, back]


@pytest.mark.parametrize(
    ("url", "hidden", "shown"),
    [
        ("https://hc-ping.com/8b9e-uuid-0123456789", ["8b9e-uuid-0123456789"], ["hc-ping.com"]),
        (
            "https://a.example/api/push/T0kenT0ken?status=up&ping=",
            ["T0kenT0ken", "status=up&ping="],
            ["a.example"],
        ),
        ("https://a.example/x?key=0123456789", ["0123456789", "key=0123456789"], ["a.example"]),
    ],
)
def test_all_of_an_address_but_its_host_is_a_secret(
    url: str, hidden: list[str], shown: list[str]
) -> None:
    parts = {part.get_secret_value() for part in secret_parts(SecretStr(url))}
    assert {url, *hidden} <= parts
    assert not parts & {"", "/", *shown}


@pytest.mark.parametrize("value", ["0", "999ms", "soon", "-1m"])
def test_a_timeout_that_cannot_be(value: str) -> None:
    with pytest.raises(SettingsError, match="WATCHDOG_TIMEOUT") as caught:
        read_settings(ReceiverSettings, {"WATCHDOG_TIMEOUT": value})
    assert "allowed" in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "s3cret",
        "ftp://a/s3cret",
        "https://user:s3cret@a/",
        "https://a/s3cret#f",
        "https://a/ s3cret",
    ],
)
def test_an_address_that_cannot_be_called_is_not_shown(value: str) -> None:
    with pytest.raises(SettingsError, match="HEARTBEAT_URL") as caught:
        read_settings(ReceiverSettings, {"HEARTBEAT_URL": value})
    assert "s3cret" not in str(caught.value)


def test_an_address_is_taken_as_it_is() -> None:
    url = "https://a.example/api/push/s3cret?status=up&msg=OK"
    settings = read_settings(ReceiverSettings, {"HEARTBEAT_URL": url, "WATCHDOG_TIMEOUT": "90"})
    assert secret(settings.heartbeat_url) == url
    assert settings.watchdog_timeout == timedelta(seconds=90)
    assert "s3cret" not in repr(settings)
