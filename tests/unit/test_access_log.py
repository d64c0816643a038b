"""The application's log lines: real samples of both eras, and what hostile clients and races make of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.access_log import KINDS, Access, Text, parse_duration, parse_line

DURATIONS = [
    ("0s", 0.0),
    ("450ns", 450e-9),
    ("123.456\u00b5s", 123.456e-6),
    ("123.456\u03bcs", 123.456e-6),
    ("123.456us", 123.456e-6),
    ("1.234567ms", 1.234567e-3),
    ("123.456789ms", 0.123456789),
    ("1.5s", 1.5),
    ("12.345678901s", 12.345678901),
    ("1m3.2s", 63.2),
    ("1m1.23456789s", 61.23456789),
    ("1h2m3s", 3723.0),
    ("1h2m3.456789012s", 3723.456789012),
    ("-1.5s", -1.5),
]
NO_DURATIONS = ["", "5", "s", "1.s", ".5s", "1d", "1 s", "1s ", "--1s", "inf", "nan", "1e3s", "٣s"]
NO_DURATIONS += ["9" * 400 + "h", "9" * 30 + "s"]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_go_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_go_duration(text: str) -> None:
    assert parse_duration(text) is None


ACCESS = [
    (
        "09:15:02 | 200 |    123.456µs | 172.20.0.1 | GET | /api/health",
        (200, 123.456e-6, "GET", "/api/health"),
    ),
    ("09:15:02 | 200 |            0s | ::1 | HEAD | /", (200, 0.0, "HEAD", "/")),
    (
        "23:59:59 | 500 | 1h2m3.456789012s | 10.0.0.9 | POST | /api/upload",
        (500, 3723.456789012, "POST", "/api/upload"),
    ),
    # A terminal: colours around status and method, and a carriage return before the newline.
    (
        "09:15:02 | \x1b[92m200\x1b[0m |   1.234567ms | 10.0.0.9 | \x1b[96mGET\x1b[0m | /ws\r",
        (200, 1.234567e-3, "GET", "/ws"),
    ),
    # A path with the separator in it does not choose its own status.
    (
        "09:15:02 | 404 |         1.5s | 10.0.0.9 | GET | /x | 500 |  1s | 1.1.1.1 | POST | /api/upload",
        (404, 1.5, "GET", "/x | 500 |  1s | 1.1.1.1 | POST | /api/upload"),
    ),
    # Another request's line was cut after its time, and this one stands behind the piece.
    (
        "09:15:02 | 09:15:02 | 200 |         1.5s | 10.0.0.9 | GET | /a",
        (200, 1.5, "GET", "/a"),
    ),
    # The rest of a line whose beginning went elsewhere.
    ("200 |         1.5s | 10.0.0.9 | GET | /a", (200, 1.5, "GET", "/a")),
    ("09:15:02 | 200 |         1.5s | 10.0.0.9 | GET | ", (200, 1.5, "GET", "")),
]


@pytest.mark.parametrize(("line", "expected"), ACCESS)
def test_access_lines(line: str, expected: tuple[int, float, str, str]) -> None:
    access = parse_line(line.encode())

    assert isinstance(access, Access)
    assert (access.status, access.method, access.path) == (expected[0], *expected[2:])
    assert access.seconds == pytest.approx(expected[1])


def test_a_path_that_is_no_utf8_is_read() -> None:
    access = parse_line(b"09:15:02 | 404 |  1ms | 10.0.0.9 | GET | /\xff\xfe\x00")
    assert isinstance(access, Access)
    assert access.path.startswith("/")
    access.path.encode()


UNPARSABLE = [
    "09:15:02 | ",
    "09:15:02 | 200",
    "09:15:02 | 200 |  soon | 10.0.0.9 | GET | /a",
    "09:15:02 | 200 | 99999999999999999999h | 10.0.0.9 | GET | /a",
    "09:15:02 | 200 |         1.5s | 10.0.0.9 | ",
    " |         1.5s | 10.0.0.9 | GET | /a",
    " | /api/health",
    "09:15:02 | 🚀 Streaming upload: a.wav (1.0 MB) via API proxy",
]


@pytest.mark.parametrize("line", UNPARSABLE)
def test_damaged_access_lines(line: str) -> None:
    assert parse_line(line.encode()) == Text("unparsable")


def test_what_stands_inside_a_damaged_line_still_counts() -> None:
    line = "09:15:02 | Failed to send Discord notification: discord webhook returned status 500"
    assert parse_line(line.encode()) == Text("unparsable", "discord")


STD = "2026/01/02 15:04:05 "
TEXTS = [
    (STD + "[2026/01/02 10:04:05 EST] ✅ MinIO connection successful", "app", ""),
    (STD + "[2026/01/02 10:04:05 EST] ⚠️  MinIO connection failed: dial tcp", "app", "minio"),
    (STD + "Failed to initialize MinIO client: bad endpoint", "app", "minio"),
    (STD + "MinIO operation failed (attempt 1/3), retrying in 1s: EOF", "app", "minio"),
    (
        STD + "ERROR Failed to check bucket existence method=PutFile error=EOF",
        "app",
        "minio_service",
    ),
    (STD + "ERROR Failed to create bucket method=PutFile", "app", "minio_service"),
    (STD + "ERROR Upload failed method=PutFile bucket=sermons", "app", "minio_service"),
    (
        STD + 'ERROR MinIO upload failed handler=Upload request_id="" error=EOF',
        "app",
        "minio_handler",
    ),
    (STD + "ERROR Upload failed handler=UploadBatch error=EOF", "app", "batch_minio_handler"),
    (
        STD + "INFO Batch upload completed handler=UploadBatch failed=1",
        "app",
        "batch_completed",
    ),
    (STD + "INFO Upload successful handler=Upload", "app", ""),
    (STD + "WARN Duplicate file rejected handler=Upload", "app", ""),
    ("Failed to send Discord notification: timeout", "app", "discord"),
    ("Failed to send Discord completion notification: timeout", "app", "discord"),
    (STD + "Discord test failed: timeout", "app", "discord"),
    (STD + "Failed to start deployment notification: x", "app", "discord"),
    ("❌ MinIO failed to start after 60 attempts", "app", "minio"),
    ("panic: runtime error: invalid memory address", "panic", ""),
    ("fatal error: all goroutines are asleep - deadlock!", "panic", ""),
    (" ┌───────────────────────────────────────────────────┐ ", "other", ""),
    ("🚀 Starting sermon uploader container...", "other", ""),
    ("", "other", ""),
    # A file's name quoting a message is no message.
    (STD + 'INFO File received filename="Failed to send Discord notification: x"', "app", ""),
]


@pytest.mark.parametrize(("line", "kind", "sign"), TEXTS)
def test_other_lines(line: str, kind: str, sign: str) -> None:
    assert parse_line(line.encode()) == Text(kind, sign)


def test_what_looks_like_an_access_line_on_stderr_is_none() -> None:
    line = b"09:15:02 | 500 |  1ms | 10.0.0.9 | POST | /api/upload"
    assert parse_line(line, stream=2) == Text("other")


@given(st.binary(max_size=300), st.sampled_from([1, 2]))
def test_any_bytes_are_some_line(line: bytes, stream: int) -> None:
    parsed = parse_line(line, stream)
    assert isinstance(parsed, Access) or parsed.kind in KINDS


@given(st.integers(0, 999), st.text(max_size=60).filter(lambda path: "\n" not in path))
def test_any_path_is_kept_whole(status: int, path: str) -> None:
    parsed = parse_line(f"09:15:02 | {status:03} |  1.5ms | ::1 | GET | {path}".encode())
    assert isinstance(parsed, Access)
    assert parsed.status == status
    if "\x1b" not in path:
        assert parsed.path == path.rstrip("\r")
