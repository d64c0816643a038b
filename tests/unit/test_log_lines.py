"""From a log's entries to lines, and on again after a broken connection: nothing lost, nothing twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from target.log_lines import (
    ENTRY_BYTES,
    MAX_LINE_BYTES,
    Cursor,
    Entry,
    Line,
    LineAssembler,
    parse_entry,
)

SECOND = 10**9
MOMENT = 1_767_366_245 * SECOND


def test_an_entrys_stamp() -> None:
    assert parse_entry(b"2026-01-02T15:04:05.000000042Z text\n") == Entry(MOMENT + 42, b"text\n")
    assert parse_entry(b"2026-01-02T15:04:05.5Z \n") == Entry(MOMENT + SECOND // 2, b"\n")
    assert parse_entry(b"2026-01-02T15:04:05Z x") == Entry(MOMENT, b"x")


def test_entries_without_a_stamp() -> None:
    for raw in (b"", b"text", b"2026-01-02 text", b"2026-99-02T15:04:05.1Z x"):
        assert parse_entry(raw) == Entry(0, raw)


def test_lines_of_two_streams_do_not_mix() -> None:
    lines = LineAssembler()
    assert lines.feed(1, b"half ") == []
    assert lines.feed(2, b"error\n") == [Line(2, b"error")]
    assert lines.feed(1, b"a line\n") == [Line(1, b"half a line")]
    assert lines.feed(1, b"a\nb\n") == [Line(1, b"a"), Line(1, b"b")]


def test_a_line_longer_than_an_entry_is_joined() -> None:
    lines = LineAssembler()
    assert lines.feed(1, b"a" * ENTRY_BYTES) == []
    assert lines.feed(1, b"b\n") == [Line(1, b"a" * ENTRY_BYTES + b"b")]


def test_a_terminals_long_line_loses_the_stamps_inside() -> None:
    lines = LineAssembler(tty=True)
    stamp = b"2026-01-02T15:04:05.000000042Z "
    whole = b"a" * ENTRY_BYTES + stamp + b"b" * ENTRY_BYTES + stamp + b"c"
    body = b"a" * ENTRY_BYTES + b"b" * ENTRY_BYTES + b"c"
    assert lines.feed(1, whole + b"\n") == [Line(1, body)]


def test_a_line_without_end_takes_bounded_memory() -> None:
    lines = LineAssembler()
    for _ in range(100):
        assert lines.feed(1, b"x" * ENTRY_BYTES) == []
    assert lines.feed(1, b"\n") == [Line(1, b"x" * MAX_LINE_BYTES)]
    assert lines.feed(1, b"next\n") == [Line(1, b"next")]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_entries_cut_anywhere_give_the_same_lines(pieces: list[bytes]) -> None:
    lines = LineAssembler()
    found = [line.body for piece in pieces for line in lines.feed(1, piece)]
    assert found == b"".join(pieces).split(b"\n")[:-1]


def test_a_cursor_begins_where_it_is_told() -> None:
    assert Cursor(since_nano=17).resume() == 17


def test_a_resumed_log_skips_what_was_counted() -> None:
    """Two entries share the last stamp of stdout; only one of them had arrived."""
    log = [(1, 100), (2, 101), (1, 105), (1, 105), (2, 104), (1, 110)]
    cursor = Cursor(0)
    assert [cursor.is_new(*entry) for entry in log[:3]] == [True, True, True]

    since = cursor.resume()
    again = [entry for entry in log if entry[1] >= since]

    assert [entry for entry in again if cursor.is_new(*entry)] == log[3:]


def test_a_silent_stream_does_not_make_the_whole_log_come_again() -> None:
    cursor = Cursor(0)
    cursor.is_new(2, 1 * SECOND)
    cursor.is_new(1, 1000 * SECOND)
    assert cursor.resume() == 995 * SECOND


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 3)), max_size=40),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_breaks_anywhere_count_each_entry_once(
    steps: list[tuple[int, int]], breaks: list[int]
) -> None:
    """Each stream's stamps go forward; the connection breaks after some entries, again and again."""
    clock = {1: 1, 2: 1}
    log = []
    for number, (stream, step) in enumerate(steps):
        clock[stream] = max(clock[stream], max(clock.values()) - 2) + step
        log.append((stream, clock[stream], number))
    cursor, counted = Cursor(0), []
    for length in [*breaks, len(log) + 1]:
        since = cursor.resume()
        for stream, moment, number in [entry for entry in log if entry[1] >= since][:length]:
            if cursor.is_new(stream, moment):
                counted.append(number)
    assert sorted(counted) == list(range(len(log)))
