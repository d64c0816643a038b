"""What a picture is made of: each rule's curve and threshold, an hour of points, moments, and the same in words."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from receiver.pictures.child import DrawingError, checked
from receiver.pictures.composing import Deployment, Measured, compose, in_question, window
from receiver.pictures.drawing import MOST_MARKS, Drawing, from_json, in_words, shown
from receiver.pictures.gathering import narrowed, on_grid
from receiver.pictures.signals import COMPARISONS, Signal, signals, unit_of
from tests.unit.test_view import INCIDENT, NIGHT, after, alert, history, step

ROOT = Path(__file__).resolve().parents[2]
NO_SIGNAL = {
    "TargetMissing": "nothing is there that could be drawn: that is the alert",
    "MonitorDown": "several parts of several kinds under one label",
    "Watchdog": "always fires",
}
UNITS = {
    "HighErrorRate": "ratio",
    "UploadFailures": "ratio",
    "DiskSpaceRunningOut": "ratio",
    "HighResponseTime": "seconds",
    "BackupTooOld": "seconds",
    "BackupDrillFailed": "seconds",
    "OutboxStuck": "seconds",
    "HighMemoryUsage": "percent",
    "HighCPUUsage": "percent",
    "HighDiskUsage": "percent",
    "PossibleMemoryLeak": "bytes",
}
TWO = {"BackupTooOld", "BackupDrillFailed", "ContainerOOMKilled"}
"""Rules with two alternatives that compare a curve with a number."""


def test_every_rule_has_a_signal_or_a_reason() -> None:
    groups = yaml.safe_load((ROOT / "monitoring" / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len(rules) > 25
    for rule in rules:
        name, found = rule["alert"], signals(rule["expr"])
        wanted = 0 if name in NO_SIGNAL else 2 if name in TWO else 1
        assert len(found) == wanted, (name, found)
        for signal in found:
            assert not any(f" {sign} " in outside(signal.curve) for sign in COMPARISONS), signal
            assert outside(signal.curve).count("(") == outside(signal.curve).count(")")
        assert unit_of(rule["annotations"]["description"]) == UNITS.get(name, "number"), name


def outside(curve: str) -> str:
    """Without what stands in braces and brackets."""
    depth, kept = 0, []
    for letter in curve:
        depth += (letter in "([{") - (letter in ")]}")
        kept.append(letter if depth == 0 or letter in "()" else "")
    return "".join(kept)


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("up == 0", [("up", "==", 0.0)]),
        ("(up) > bool 1", []),
        ("((a > 1))", [("a", ">", 1.0)]),
        ("(a) > (b)", []),
        ("(a > 1) and (b > 2)", [("a", ">", 1.0)]),
        ("a{x='>1 or 2'} <= -1.5e3", [("a{x='>1 or 2'}", "<=", -1500.0)]),
        ("a # > 5 or\n!= .5 # why", [("a # > 5 or", "!=", 0.5)]),
        ("a > 1 or b unless c > 3 or d < 2", [("a", ">", 1.0), ("d", "<", 2.0)]),
        ("(a == 0 or b == 1)", []),
        ("a > 1 > 2", []),
        ("1 < a", []),
        ("rate(a[5m] offset 1h) >= 1", [("rate(a[5m] offset 1h)", ">=", 1.0)]),
        ("order > 1", [("order", ">", 1.0)]),
        ("", []),
        (")(", []),
        ('a{x="', []),
        ("a > " + "9" * 400, []),
        ("x" * 30_000 + " > 1", []),
    ],
)
def test_an_expression_is_split_where_it_compares(
    expression: str, found: list[tuple[str, str, float]]
) -> None:
    assert [(s.curve, s.comparison, s.threshold) for s in signals(expression)] == found


@given(st.text("ab()[]{}\"'#<>=!~ or and unless 1.5e\n", max_size=80))
def test_whatever_is_written_there_splits_or_does_not(expression: str) -> None:
    for signal in signals(expression):
        assert signal.curve in expression
        assert abs(signal.threshold) < float("inf")


def test_a_curve_is_narrowed_to_the_alerts_own_series() -> None:
    asked = narrowed("a # b", {"name": 'x"$1\\', "job": "j", "a-b": "no name of a label"})
    assert asked.startswith("(a # b\n) and on (job, name) label_replace(label_replace(vector(1), ")
    assert '"name", "x\\"$$1\\\\", "", "")' in asked
    assert narrowed("a", {}) == "a"


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("samples", "values"),
    [
        ([], [None] * 5),
        ([(100, 1.0), (130, 2.0)], [1.0, None, 2.0, None, None]),
        (
            [(100, NAN), (115, INFINITE), (130, 1e300), (145, -1e300), (160, 5.0)],
            [None] * 4 + [5.0],
        ),
        ([(0, 1.0), (1e18, 2.0), (-1e18, 3.0), (160.4, 4.0)], [None] * 4 + [4.0]),
        ([(115, 1.0)] * 10_000, [None, 1.0, None, None, None]),
    ],
)
def test_what_is_measured_comes_on_a_grid(
    samples: list[tuple[float, float]], values: list[float | None]
) -> None:
    found = on_grid(samples, 100.0, 160.0, 15.0)
    assert [at for at, _ in found] == [100.0, 115.0, 130.0, 145.0, 160.0]
    assert [value for _, value in found] == values


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1, "ratio", "10 %"),
        (0.4321, "ratio", "43.21 %"),
        (91.46, "percent", "91.46 %"),
        (0.25, "seconds", "250 ms"),
        (0, "seconds", "0 s"),
        (691_200, "seconds", "8 d"),
        (33_554_432, "bytes", "32 MiB"),
        (1234, "number", "1234"),
        (-1e15, "number", "-1.0e+15"),
        (3, "number", "3"),
    ],
)
def test_values_as_people_read_them(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def composed(zone: str = "Europe/Berlin", title: str = "It is down", **incident: object) -> Drawing:
    told = replace(
        history(
            alert(1, 0, annotations={"summary": title}),
            alert(2, 1, name="HighErrorRate"),
            steps=(
                step(1, "restart", "done", 0, started_at=after(0)),
                step(2, "rollback", "running", 2, started_at=after(2)),
                step(3, "investigate", "done", 0, started_at=after(0)),
                step(4, "person", "pending", 10),
            ),
        ),
        incident=replace(INCIDENT, **incident),  # type: ignore[arg-type]
    )
    between = window(told, after(20))
    begin, end = (moment.timestamp() for moment in between)
    points = on_grid([(NIGHT.timestamp(), 0.0)], begin, end, 15.0)
    measured = Measured(Signal("up", "==", 0.0), "number", points)
    deployments = [Deployment(after(-10), "v2"), Deployment(after(-200), "v1")]
    return compose(told, told.alerts[0], measured, deployments, between, ZoneInfo(zone))


def example() -> Drawing:
    """A deployment that breaks a tenth of all requests and more, and the way back."""
    told = replace(
        history(
            alert(1, 0, 18, name="HighErrorRate", annotations={"summary": "Many requests fail"}),
            steps=(step(1, "rollback", "done", 0, started_at=after(0.5)),),
        ),
        incident=replace(INCIDENT, state="resolved", resolved_at=after(18)),
    )
    between = window(told, after(30))
    begin, end = (moment.timestamp() for moment in between)
    rises = {
        -8: 0.01,
        -7: 0.12,
        -5: 0.31,
        -3: 0.43,
        0: 0.46,
        3: 0.44,
        5: 0.38,
        6: 0.2,
        7: 0.06,
        8: 0.0,
    }
    curve = [
        (
            after(minute / 4).timestamp(),
            next((v for m, v in reversed(rises.items()) if m <= minute / 4), 0.004 * (minute % 3)),
        )
        for minute in range(-240, 120)
    ]
    measured = Measured(Signal("r", ">", 0.1), "ratio", on_grid(curve, begin, end, 15.0))
    versions = [Deployment(after(-9), "v2.1 (1f0c9aa)"), Deployment(after(3), "v2.0 (77ab310)")]
    return compose(told, told.alerts[0], measured, versions, between, ZoneInfo("Europe/Berlin"))


def test_the_moments_of_the_hour_in_the_readers_own_time() -> None:
    found = composed(state="resolved", resolved_at=after(12))
    assert [(m.clock, m.kind, m.words) for m in found.marks] == [
        ("02:50", "deployment", "v2 is deployed"),
        ("03:00", "alert", "ServiceDown fires"),
        ("03:00", "action", "a restart begins"),
        ("03:01", "alert", "HighErrorRate fires"),
        ("03:02", "action", "a rollback begins"),
        ("03:12", "recovery", "the incident is over"),
    ]
    assert (found.begin, found.end) == (after(14 - 60).timestamp(), after(14).timestamp())
    assert [text for _, text in found.ticks] == ["02:15", "02:30", "02:45", "03:00"]
    assert from_json(found.to_json()).marks == list(found.marks)
    words = in_words(found)
    assert words.startswith(
        "ServiceDown: It is down, 01 Mar 02:14 to 03:14 (Europe/Berlin): the value"
    )
    assert "was 0 throughout" in words
    assert all(mark.words in words for mark in found.marks)


def test_a_long_incident_is_shown_whole() -> None:
    found = composed("UTC", opened_at=NIGHT - timedelta(days=3))
    assert found.begin == (NIGHT - timedelta(days=3, minutes=15)).timestamp()
    assert 2 <= len(found.ticks) <= 5
    assert found.marks[-1].clock == "Sun 02:02"


def test_a_drawing_holds_no_more_than_a_phone_shows() -> None:
    found = composed(title="\x00\u202e$\\frac{" + "x" * 500)
    assert len(found.title) <= 44
    assert found.title.isprintable()
    crowd = tuple(step(n, "restart", "done", 1, started_at=after(n / 10)) for n in range(20))
    told = replace(history(alert(1, 0), alert(2, 0, name="B"), steps=crowd), incident=INCIDENT)
    measured = Measured(Signal("up", "==", 0.0), "number", [(NIGHT.timestamp(), 1.0)])
    deployments = [Deployment(after(-n), f"v{n}") for n in range(9)]
    marks = compose(told, told.alerts[0], measured, deployments, window(told, after(20)), UTC).marks
    assert len(marks) == MOST_MARKS
    assert [m.words for m in marks if m.kind == "alert"] == ["ServiceDown fires"]
    assert [m.clock for m in marks if m.kind == "action"] == ["02:01"] * 3


def test_whose_signal_is_drawn() -> None:
    told = history(
        alert(1, 3, severity="warning"),
        alert(2, 5, name="B"),
        alert(3, 4, name="B"),
        alert(4, 9, name="C", severity="info"),
        alert(5, 1, name="D"),
    )
    assert [one.id for one in in_question(told, None)] == [5, 3, 1]
    assert [one.id for one in in_question(told, 4)] == [4, 5, 3]


def png(width: int = 10, height: int = 10) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b"")


def test_what_is_a_picture() -> None:
    assert (checked(png()).width, checked(png(1000, 800)).height) == (10, 800)
    for body in (
        b"",
        b"rubbish",
        png()[:-1],
        b"x" + png(),
        png(0),
        png(99_999),
        png() + b"\n" * 2**20,
    ):
        with pytest.raises(DrawingError):
            checked(body)
