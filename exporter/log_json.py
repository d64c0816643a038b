"""The Engine's json-file log: ``{"log":"…\\n","stream":"stdout","time":"…"}``, one entry a line. Pure.

Written by moby daemon/logger/jsonfilelog: the stamp without trailing zeros, bytes that are no UTF-8 as
``\\ufffd``, and ``"attrs"`` between stream and time where the driver's options ask for labels.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from target.log_lines import parse_entry

BEFORE_BODY = b'{"log":"'
AFTER_STDOUT = b'\\n","stream":"stdout","time":"'
AFTER_STDERR = b'\\n","stream":"stderr","time":"'
_AFTER_TEXT = b'","stream":"'
_NEWLINE = b"\\n"
_DOUBT = b"\\\\n"
"""A written backslash and an ``n``, or a backslash at the line's end."""
_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
STAMP_END_BYTES = len('2026-01-02T15:04:05.000000000Z"}')
"""Of an entry's end, where its stamp has every digit."""
_AFTER_PLAIN = re.compile(rb'","stream":"(std(?:in|out|err))","time":"([0-9T:.-]{19,29}Z)"\}')
_TIME = re.compile(rb'"time":"([0-9T:.-]{19,29}Z)"\}$')


class JsonEntry(NamedTuple):
    """One entry: the moment 0 where it cannot be read."""

    stream: int
    time_nano: int
    body: bytes


def parse_json_entry(line: bytes) -> JsonEntry | None:
    """One line of the file without its newline; None where it is no entry (a torn write)."""
    return _plain_entry(line) or _any_entry(line)


def _plain_entry(line: bytes) -> JsonEntry | None:
    """An entry without escapes but for its newline, which needs no parser; None for any other."""
    end = line.rfind(_AFTER_TEXT)
    found = _AFTER_PLAIN.fullmatch(line, end) if end > 0 else None
    if not found or not line.startswith(BEFORE_BODY):
        return None
    ended = line.endswith(_NEWLINE, 0, end)
    text = line[len(BEFORE_BODY) : end - len(_NEWLINE) if ended else end]
    if b"\\" in text or b'"' in text or not text.isascii():
        return None
    time_nano = parse_entry(found[2] + b" ").time_nano
    return JsonEntry(_STREAMS[found[1].decode()], time_nano, text + b"\n" if ended else text)


def _any_entry(line: bytes) -> JsonEntry | None:
    try:
        entry = json.loads(line)
        stream, body = _STREAMS[entry["stream"]], entry["log"].encode(errors="replace")
        stamp = entry["time"].encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return JsonEntry(stream, parse_entry(stamp + b" ").time_nano, body)


def ends_its_line(entry: bytes) -> bool:
    """Whether an entry ends its line of the log; the pieces of a longer one before the last do not, nor what is none."""
    end = entry.rfind(_AFTER_TEXT)
    if end < 0 or not entry.endswith(_NEWLINE, 0, end):
        return False
    if not entry.endswith(_DOUBT, 0, end):
        return True
    parsed = parse_json_entry(entry)
    return parsed is not None and parsed.body.endswith(b"\n")


def decode_body(text: bytes) -> bytes:
    """The bytes that stand in a JSON string as ``text``; ``text`` itself where it is none."""
    if b"\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text.decode()}"')).encode(errors="replace")
    except ValueError:
        return text


def time_of(line: bytes) -> int:
    """When the entry was written, in nanoseconds; 0 where it does not say."""
    found = _TIME.search(line, max(0, len(line) - 64))
    return parse_entry(found[1] + b" ").time_nano if found else 0


def tail_of(line: bytes) -> bytes:
    """Stream and time of an entry as they stand there: for comparing."""
    return line[line.rfind(b'"stream":"') :]
