"""The Sermon Uploader's log, line by line: what was asked of it, and which of its own words mean trouble. Pure.

The access line is Fiber's logger middleware (gofiber/fiber v2.51, middleware/logger) with the format
``${time} | ${status} | ${latency} | ${ip} | ${method} | ${path}``: latency is a Go duration aligned
to 13 characters, path is raw and may itself contain `` | ``. The logger's writer cuts a line at each
colour it strips, so that another goroutine's output can stand in the middle of it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

KINDS = ("access", "app", "panic", "other", "unparsable")
"""What a line can be: ``unparsable`` looks like an access line and is damaged; ``other`` is free text."""
STDOUT = 1

# A piece of another access line may stand before this one: it was cut after its time.
_ACCESS = re.compile(
    rb"(?:\d\d:\d\d:\d\d \| )*+ *(\d{3}) \| +([^\s|]+) \| ([^\s|]+) \| ([A-Z]+) \| (.*)", re.DOTALL
)
_DAMAGED = re.compile(rb"\d\d:\d\d:\d\d \| | \| | *\d{3} \| ")
_ANSI = re.compile(rb"\x1b\[[0-9;]*m")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|µs|μs|us|ns)")
_WHOLE_DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:h|ms|m|s|µs|μs|us|ns))+", re.ASCII)
_PLAIN_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)(s|ms|µs|ns)", re.ASCII)
_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "\u00b5s": 1e6, "\u03bcs": 1e6, "ns": 1e9}
"""To divide by: a whole number of a smaller unit is then the nearest float."""
_SECONDS = {"h": 3600.0, "m": 60.0}
LONGEST_SECONDS = 2**63 / 1e9
"""A Go duration is 64 bits of nanoseconds."""

_STAMP = re.compile(
    rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? "  # log's and slog's own
    rb"(?:\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d [A-Z0-9+-]{1,6}\] )?"  # repeated in local time by some messages
)
_LEVEL = re.compile(rb"(?:DEBUG|INFO|WARN|ERROR)(?:[+-]\d+)? ")


class Access(NamedTuple):
    """A finished request."""

    status: int
    seconds: float
    method: str
    path: str


class Text(NamedTuple):
    """Any other line: its kind, and the sign it gives, if any."""

    kind: str
    sign: str = ""


# (the message's beginning, what must also stand in it, the sign)
_SIGNS: tuple[tuple[bytes, bytes, str], ...] = (
    ("⚠️  MinIO connection failed:".encode(), b"", "minio"),
    ("❌ MinIO failed to start".encode(), b"", "minio"),
    (b"Failed to initialize MinIO client:", b"", "minio"),
    (b"MinIO operation failed (attempt", b"", "minio"),
    # One failed upload writes one line in the service and one in the handler: see exporter/collectors/access_log.py.
    (b"ERROR Failed to check bucket existence ", b"", "minio_service"),
    (b"ERROR Failed to create bucket ", b"", "minio_service"),
    (b"ERROR Upload failed ", b"method=PutFile", "minio_service"),
    (b"ERROR MinIO upload failed ", b"", "minio_handler"),
    (b"ERROR Upload failed ", b"handler=UploadBatch", "batch_minio_handler"),
    (b"ERROR Failed to open file ", b"handler=UploadBatch", "batch_file"),
    (b"ERROR Failed to calculate file hash ", b"handler=UploadBatch", "batch_file"),
    (b"INFO Batch upload completed ", b"", "batch_completed"),
    (b"Failed to send Discord notification:", b"", "discord"),
    (b"Failed to send Discord completion notification:", b"", "discord"),
    (b"Discord test failed:", b"", "discord"),
    (b"Failed to start deployment notification:", b"", "discord"),
    (b"Failed to update startup status:", b"", "discord"),
    (b"Failed to update deployment status:", b"", "discord"),
    (b"Failed to send startup notification:", b"", "discord"),
)
SIGN_BEGINNINGS = tuple({beginning for beginning, _, _ in _SIGNS})


def parse_line(line: bytes, stream: int = STDOUT) -> Access | Text:
    """One line without its newline, from ``stream`` 1 (stdout; a terminal has no other) or 2 (stderr).

    Access lines are written to stdout only: what looks like one on stderr is a message quoting it.
    """
    line = without_colours(line).rstrip(b"\r")
    if stream == STDOUT:
        found = _ACCESS.match(line)
        if found:
            return _access(*found.groups())
        if _DAMAGED.match(line):
            return Text("unparsable", sign_of(line.rpartition(b" | ")[2]))
    return _text(line)


def without_colours(text: bytes) -> bytes:
    """Without a terminal's colours."""
    return _ANSI.sub(b"", text) if b"\x1b" in text else text


def parse_duration(text: str) -> float | None:
    """Seconds of a Go duration as ``%v`` prints it (``123.456µs``, ``1m3.2s``); None for anything else."""
    plain = _PLAIN_DURATION.fullmatch(text)
    if plain:  # nearly all: one number with one unit
        return float(plain[1]) / _PER_SECOND[plain[2]]
    if len(text) > 64 or not _WHOLE_DURATION.fullmatch(text):
        return None
    seconds = sum(_seconds(float(number), unit) for number, unit in _DURATION.findall(text))
    if seconds > LONGEST_SECONDS:
        return None
    return -seconds if text.startswith("-") else seconds


def _seconds(number: float, unit: str) -> float:
    return number * _SECONDS[unit] if unit in _SECONDS else number / _PER_SECOND[unit]


def _access(
    status: bytes, latency: bytes, _address: bytes, method: bytes, path: bytes
) -> Access | Text:
    seconds = parse_duration(latency.decode(errors="replace"))
    if seconds is None:
        return Text("unparsable")
    return Access(
        int(status), max(0.0, seconds), _word(method[:32]), path[:4096].decode(errors="replace")
    )


@lru_cache(maxsize=64)
def _word(method: bytes) -> str:
    return method.decode("ascii")


def _text(line: bytes) -> Text:
    stamp = _STAMP.match(line)
    message = line[stamp.end() :] if stamp else line
    if not stamp and message.startswith((b"panic: ", b"fatal error: ")):
        return Text("panic")
    sign = sign_of(message)
    known = bool(stamp or sign or _LEVEL.match(message))
    return Text("app" if known else "other", sign)


def sign_of(message: bytes) -> str:
    """The sign that a message gives, without its stamp; empty: none."""
    if not message.startswith(SIGN_BEGINNINGS):
        return ""
    for beginning, also, sign in _SIGNS:
        if message.startswith(beginning) and also in message:
            return sign
    return ""
