"""A log that nobody reads stops nobody."""

from __future__ import annotations

import io
import logging
import os
import re

import pytest

from sermon_monitor.log_handler import NeverWaiting, never_wait


def record(words: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, "", 0, words, None, None)


def read(descriptor: int) -> list[str]:
    """All that there is."""
    os.set_blocking(descriptor, False)
    found = b""
    try:
        while True:
            found += os.read(descriptor, 65536)
    except BlockingIOError:
        return found.decode().splitlines()


def test_what_nobody_reads_is_lost_and_said() -> None:
    reader, writer = os.pipe()
    handler = NeverWaiting(writer)
    count = 500
    for number in range(count):  # half a MiB: a pipe holds 64 KiB
        handler.handle(record(f"{number} {'x' * 999}\ud800"))
    lines = read(reader)
    assert 0 < len(lines) < count
    handler.handle(record("again"))
    said, again = [one for one in read(reader) if one]
    lost = int(re.fullmatch(r"(\d+) lines of the log were lost: nobody took them", said)[1])  # type: ignore[index]
    whole = [one for one in lines if one.endswith("x\\ud800")]
    assert len(whole) + lost == count
    assert [int(one.split()[0]) for one in whole] == list(range(len(whole)))
    assert again == "again"
    handler.handle(record("y" * 100_000))  # more than there is room for
    handler.handle(record("not this either"))
    torn = read(reader)
    handler.handle(record("on a line of its own"))
    assert (set("".join(torn)), read(reader)[-1]) == ({"y"}, "on a line of its own")
    os.close(reader)
    handler.handle(record("a reader that is gone"))
    os.close(writer)


def test_where_there_is_no_stderr_the_log_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(logging.getLogger().handlers)
    for none in (None, io.StringIO()):
        monkeypatch.setattr("sys.stderr", none)
        never_wait()
        assert logging.getLogger().handlers == before
