"""The Engine's json-file log: ``{"log":"…\\n","stream":"stdout","time":"…"}``, one entry a line. Pure.

Written by moby daemon/logger/jsonfilelog: the stamp without trailing zeros, bytes that are no UTF-8 as
``\\ufffd``, and ``"attrs"`` between stream and time where the driver's options ask for labels.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from target.log_lines import ENTRY_BYTES, parse_entry

BEFORE_BODY = b'{"log":"'
AFTER_STDOUT = b'\\n","stream":"stdout","time":"'
AFTER_STDERR = b'\\n","stream":"stderr","time":"'
_ENDED = b'\\n","stream":"'
_DOUBT = b"\\" + _ENDED
"""A backslash before it: a written backslash and an ``n``, or a backslash at the line's end."""
_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
_TIME = re.compile(rb'"time":"([0-9T:.-]{19,29}Z)"\}$')


class JsonEntry(NamedTuple):
    """One entry: the moment 0 where it cannot be read."""

    stream: int
    time_nano: int
    body: bytes


def parse_json_entry(line: bytes) -> JsonEntry | None:
    """One line of the file without its newline; None where it is no entry (a torn write)."""
    try:
        entry = json.loads(line)
        stream, body = _STREAMS[entry["stream"]], entry["log"].encode(errors="replace")
        stamp = entry["time"].encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return JsonEntry(stream, parse_entry(stamp + b" ").time_nano, body)


def all_ended(block: bytes, lines: list[bytes]) -> bool:
    """Whether each of the block's entries ends its line of the log; a longer line's pieces do not."""
    if block.count(_ENDED) != len(lines):
        return False
    if _DOUBT not in block:
        return True
    return all(_ends(line) for line in lines if _DOUBT in line)


def unended_entries(block: bytes, lines: list[bytes]) -> list[int]:
    """Which of the block's entries do not end their line of the log, or are none."""
    if _DOUBT not in block:
        # Nearly always it is a line longer than one entry: only the long ones are looked at.
        long = [
            place
            for place, line in enumerate(lines)
            if len(line) > ENTRY_BYTES and _ENDED not in line
        ]
        if block.count(_ENDED) + len(long) == len(lines):
            return long
    return [
        place
        for place, line in enumerate(lines)
        if (_ENDED not in line or _DOUBT in line) and not _ends(line)
    ]


def decode_body(text: bytes) -> bytes:
    """The bytes that stand in a JSON string as ``text``; ``text`` itself where it is none."""
    if b"\\" not in text:
        return text
    try:
        return str(json.loads(b'"%b"' % text)).encode(errors="replace")
    except ValueError:
        return text


def time_of(line: bytes) -> int:
    """When the entry was written, in nanoseconds; 0 where it does not say."""
    found = _TIME.search(line, max(0, len(line) - 64))
    return parse_entry(found[1] + b" ").time_nano if found else 0


def tail_of(line: bytes) -> bytes:
    """Stream and time of an entry as they stand there: for comparing."""
    return line[line.rfind(b'"stream":"') :]


def _ends(line: bytes) -> bool:
    entry = parse_json_entry(line)
    return entry is not None and entry.body.endswith(b"\n")
