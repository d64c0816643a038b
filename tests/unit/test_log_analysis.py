"""What a log amounts to: which lines mean trouble, and how they are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from recovery.log_analysis import Seen, analyse, is_error, kind_of, seen
from recovery.logs import chosen_of
from target.engine import EngineError
from target.engine_tail import LogLine
from tests.unit.recovery_kit import backend, facts, minio

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def line(text: str, stream: int = 2, seconds: float = 0) -> Seen:
    return seen("app", LogLine(NOON + timedelta(seconds=seconds), stream, text.encode()))


@pytest.mark.parametrize(
    ("text", "stream", "kind"),
    [
        (
            "10:59:32 | 500 |       313.4µs | 10.0.0.1 | POST | /api/upload",
            1,
            "HTTP 500 POST /api/upload",
        ),
        (
            "10:59:32 | 502 |       313.4µs | 10.0.0.1 | GET | /a/$(reboot)",
            1,
            "HTTP 502 GET other paths",
        ),
        ("10:59:32 | 409 |       313.4µs | 10.0.0.1 | POST | /api/upload", 1, ""),
        (
            "10:59:32 | 200 |       313.4µs | 10.0.0.1 | GET | /x | 500 | 1s | 1.1.1.1 | GET | /",
            1,
            "",
        ),
        ("2026/03/01 12:00:00 ERROR MinIO upload failed handler=Upload error=x", 2, "MinIO"),
        ("2026/03/01 12:00:00 Failed to send Discord notification: x", 2, "Discord"),
        ("2026/03/01 12:00:00 ERROR Failed to get file from form", 2, "ERROR"),
        ("2026/03/01 12:00:00 INFO Upload successful ERROR", 2, ""),
        ("panic: runtime error: invalid memory address", 2, "panic"),
        ("goroutine 1 [running]:", 2, ""),
    ],
)
def test_kinds(text: str, stream: int, kind: str) -> None:
    assert kind_of(line(text, stream)) == kind
    assert is_error(line(text, stream)) is bool(kind)


def test_errors_are_counted_by_kind_and_requests_by_their_time() -> None:
    found = analyse(
        [
            line("10:59:32 | 500 |            2s | 10.0.0.1 | POST | /api/upload", 1, 0),
            line("10:59:33 | 200 |          1m3s | 10.0.0.1 | GET | /api/files", 1, 1),
            line("10:59:34 | 500 |           1ms | 10.0.0.1 | POST | /api/upload", 1, 2),
            line("panic: x", 2, 90),
        ]
    )
    assert [(e.kind, e.count) for e in found.errors] == [
        ("HTTP 500 POST /api/upload", 2),
        ("panic", 1),
    ]
    assert found.errors[0].last == NOON + timedelta(seconds=2)
    assert [(s.seconds, s.path) for s in found.slowest][:2] == [
        (63.0, "/api/files"),
        (2.0, "/api/upload"),
    ]
    assert (found.lines, found.requests, found.seconds) == (4, 3, 90.0)


def test_an_empty_log_amounts_to_nothing() -> None:
    assert analyse([]).as_json() == {
        "lines": 0,
        "seconds": 0.0,
        "requests": 0,
        "errors": [],
        "slowest": [],
    }


def test_a_name_that_is_no_container_is_said_also_beside_others() -> None:
    there = facts(minio(), backend())
    assert [c.name for c in chosen_of(there, ["backend"])] == ["sermon-uploader-backend"]
    assert len(chosen_of(there, [])) == 2
    with pytest.raises(EngineError, match=r"^no container of the deployment is grafana; there is"):
        chosen_of(there, ["backend", "grafana"])
    with pytest.raises(EngineError, match="here; there is: none"):
        chosen_of(facts(containers=()), [])
