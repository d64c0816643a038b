"""Alertmanager's webhook body: what real ones send, what broken and hostile senders send."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.hearing.alertmanager import (
    LATEST,
    LONGEST_VALUE,
    MOST_TRUNCATED,
    BodyError,
    parse_webhook,
)

PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").rglob("*.json"))
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "ServiceDown", "severity": "critical"},
    "annotations": {"summary": "down"},
    "startsAt": "2026-03-01T02:00:00Z",
    "fingerprint": "fa1c9c0faaacbaa6",
}
BODY: dict[str, Any] = {
    "version": "4",
    "groupKey": "{}",
    "status": "firing",
    "receiver": "hook",
    "truncatedAlerts": 0,
    "alerts": [ALERT],
}


def body(**changes: Any) -> bytes:
    return json.dumps({**BODY, **changes}).encode()


def one(**changes: Any) -> bytes:
    """A body whose one alert is changed so."""
    return body(alerts=[{**ALERT, **changes}])


def without(name: str) -> bytes:
    return body(alerts=[{k: v for k, v in ALERT.items() if k != name}])


def faults(text: bytes) -> list[str]:
    with pytest.raises(BodyError) as caught:
        parse_webhook(text)
    assert all(set(item) == {"field", "problem"} for item in caught.value.fields)
    assert all(item["problem"] for item in caught.value.fields)
    return [item["field"] for item in caught.value.fields]


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_what_real_alertmanagers_sent(path: Path) -> None:
    sent = json.loads(path.read_bytes())
    webhook = parse_webhook(path.read_bytes())
    assert webhook.truncated_alerts == sent["truncatedAlerts"]
    assert webhook.group_key == sent["groupKey"]
    assert [alert.status for alert in webhook.alerts] == [a["status"] for a in sent["alerts"]]
    assert [alert.key for alert in webhook.alerts] == [a["fingerprint"] for a in sent["alerts"]]
    assert [dict(alert.labels) for alert in webhook.alerts] == [a["labels"] for a in sent["alerts"]]
    assert all(alert.starts_at.tzinfo is UTC for alert in webhook.alerts)


def test_there_are_payloads_of_two_releases() -> None:
    assert {path.parent.name for path in PAYLOADS} >= {"alertmanager-0.25.0", "alertmanager-0.28.1"}


def test_fields_of_newer_releases_are_no_fault() -> None:
    text = body(notification_reason="group_wait", routeLabels={"a": "b"})
    assert parse_webhook(text).alerts[0].name == "ServiceDown"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (b"", ["body"]),
        (b"not JSON", ["body"]),
        (b"\xff\xfe{}", ["body"]),
        (b"\x00", ["body"]),
        (b"{", ["body"]),
        (b"[" * 100_000, ["body"]),
        (b'{"alerts":' + b"[" * 5_000 + b"]" * 5_000 + b"}", ["body"]),
        (b"null", ["body"]),
        (b"4", ["body"]),
        (b'"4"', ["body"]),
        (b"[]", ["body"]),
        (b"{}", ["version", "groupKey", "status", "receiver", "alerts"]),
        (body(version="3"), ["version"]),
        (body(version=4), ["version"]),
        (body(status="suppressed"), ["status"]),
        (body(groupKey=None), ["groupKey"]),
        (body(alerts=None), ["alerts"]),
        (body(alerts={}), ["alerts"]),
        (body(alerts=[None]), ["alerts.0"]),
        (body(alerts=[ALERT, 7]), ["alerts.1"]),
        (body(truncatedAlerts=-1), ["truncatedAlerts"]),
        (body(truncatedAlerts=10**30), ["truncatedAlerts"]),
        (body(truncatedAlerts=1.5), ["truncatedAlerts"]),
        (body(truncatedAlerts=True), ["truncatedAlerts"]),
        (body(truncatedAlerts="5"), ["truncatedAlerts"]),
        (without("labels"), ["alerts.0.labels"]),
        (without("status"), ["alerts.0.status"]),
        (without("startsAt"), ["alerts.0.startsAt"]),
        (one(labels=None), ["alerts.0.labels"]),
        (one(labels=[]), ["alerts.0.labels"]),
        (one(labels={"a": 1}), ["alerts.0.labels.a"]),
        (one(labels={str(n): "x" for n in range(300)}), ["alerts.0.labels"]),
        (one(annotations="text"), ["alerts.0.annotations"]),
        (one(startsAt=None), ["alerts.0.startsAt"]),
        (one(startsAt=1_772_330_400), ["alerts.0.startsAt"]),
        (one(startsAt="yesterday"), ["alerts.0.startsAt"]),
        (one(startsAt="2026-02-30T00:00:00Z"), ["alerts.0.startsAt"]),
        (one(startsAt="0001-01-01T00:00:00+14:00"), ["alerts.0.startsAt"]),
        (one(fingerprint=None), ["alerts.0.fingerprint"]),
        (one(fingerprint="f" * 129), ["alerts.0.fingerprint"]),
        (b'{"version":"4","groupKey":"\\ud800"}', ["body"]),
    ],
)
def test_the_fields_at_fault_are_named(text: bytes, fields: list[str]) -> None:
    assert faults(text) == fields


def test_a_number_without_end_is_a_fault() -> None:
    digits = b"9" * 5_000
    assert faults(body().replace(b'"truncatedAlerts": 0', b'"truncatedAlerts": ' + digits))


def test_the_answer_to_many_faults_stays_short() -> None:
    assert len(faults(body(alerts=[None] * 1_000))) == 20
    assert [len(f) for f in faults(one(labels={"k" * 100_000: 1}))] == [200]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T02:00:00Z", datetime(2026, 3, 1, 2, tzinfo=UTC)),
        ("2026-03-01T02:00:00.123456789Z", datetime(2026, 3, 1, 2, 0, 0, 123456, tzinfo=UTC)),
        ("2026-03-01T02:00:00.5-05:30", datetime(2026, 3, 1, 7, 30, 0, 500_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999999Z", LATEST),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    (alert,) = parse_webhook(one(startsAt=text)).alerts
    assert alert.starts_at == moment
    # It can be kept as seconds since 1970 and read again.
    assert datetime.fromtimestamp(alert.starts_at.timestamp(), UTC) == moment


def test_a_thousand_alerts() -> None:
    many = [{**ALERT, "fingerprint": f"{n:016x}"} for n in range(1_000)]
    assert len({alert.key for alert in parse_webhook(body(alerts=many)).alerts}) == 1_000


def test_no_alert_at_all_is_a_body() -> None:
    assert parse_webhook(body(alerts=[])).alerts == []


def test_a_long_annotation_is_cut_with_a_mark() -> None:
    (alert,) = parse_webhook(one(annotations={"summary": "x" * 100_000})).alerts
    assert len(alert.annotations["summary"]) == LONGEST_VALUE
    assert alert.annotations["summary"].endswith("x…")
    (alert,) = parse_webhook(one(annotations={"summary": "x" * LONGEST_VALUE})).alerts
    assert alert.annotations["summary"] == "x" * LONGEST_VALUE


def test_control_characters_stay_as_they_are_here() -> None:
    """What shows them makes them harmless; here they only must not break anything. A zero would break the store."""
    odd = "a\x00b\x1b[31m\u202e\nc"
    (alert,) = parse_webhook(one(labels={"alertname": odd})).alerts
    assert alert.name == odd.replace("\0", "\ufffd")


def test_the_last_of_duplicate_keys_counts() -> None:
    text = body().replace(b'"receiver": "hook"', b'"receiver": "a", "receiver": "b"')
    assert parse_webhook(text).receiver == "b"


@pytest.mark.parametrize(
    ("label", "severity"),
    [
        ("critical", "critical"),
        ("warning", "warning"),
        ("info", "info"),
        ("none", "info"),
        ("CRITICAL", "warning"),
        ("page", "warning"),
        ("", "warning"),
    ],
)
def test_severity(label: str, severity: str) -> None:
    (alert,) = parse_webhook(one(labels={"severity": label})).alerts
    assert alert.severity == severity


def test_without_labels_there_are_names_all_the_same() -> None:
    (alert,) = parse_webhook(one(labels={})).alerts
    assert alert.name == "(unnamed alert)"
    assert alert.service == "sermon-uploader"
    assert alert.severity == "warning"


def test_without_a_fingerprint_the_labels_are_the_key() -> None:
    first = parse_webhook(without("fingerprint")).alerts[0]
    again = parse_webhook(one(fingerprint="", startsAt="2027-01-01T00:00:00Z")).alerts[0]
    other = parse_webhook(one(fingerprint="", labels={"alertname": "Other"})).alerts[0]
    assert first.key == again.key != other.key


def test_the_most_truncated_alerts_fit_the_store() -> None:
    assert parse_webhook(body(truncatedAlerts=MOST_TRUNCATED)).truncated_alerts == MOST_TRUNCATED
    assert parse_webhook(body(truncatedAlerts=5.0)).truncated_alerts == 5  # to JSON the same


_leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
_json = st.recursive(
    _leaf, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def _parses_or_says_why(text: bytes) -> None:
    try:
        webhook = parse_webhook(text)
    except BodyError:
        return
    assert all(alert.key and alert.name and alert.service for alert in webhook.alerts)


@given(st.binary())
def test_any_bytes(text: bytes) -> None:
    _parses_or_says_why(text)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(BODY)), _json))
def test_any_value_in_any_field(changes: dict[str, Any]) -> None:
    _parses_or_says_why(body(**changes))


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(ALERT)), _json))
def test_any_value_in_any_field_of_an_alert(changes: dict[str, Any]) -> None:
    _parses_or_says_why(one(**changes))
