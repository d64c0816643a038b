"""The json-file as the Engine writes, rotates and truncates it: real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.log_file import BLOCK_BYTES, LogFile
from target.log_lines import INTERLEAVED_NANO

SECOND = 10**9
MOMENT = 1_767_366_245 * SECOND
NAME = "0123-json.log"


def entry(number: int, words: str = "") -> bytes:
    """One a second from MOMENT on."""
    minute, second = divmod(number, 60)
    stamp = b"2026-01-02T15:%02d:%02d.5Z" % (4 + (minute + (second + 5) // 60), (second + 5) % 60)
    return b'{"log":"%d%b\\n","stream":"stdout","time":"%b"}\n' % (number, words.encode(), stamp)


def numbers(lines: bytes) -> list[int]:
    return [int(line.split(b'"')[3].split(b"\\")[0]) for line in lines.splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.touch()
    return path


def add(path: Path, *found: int) -> None:
    with path.open("ab") as file:
        file.write(b"".join(map(entry, found)))


def rotate(path: Path, most: int = 3) -> None:
    """As moby daemon/logger/loggerutils/logfile.go does."""
    for number in range(most - 1, 1, -1):
        older = path.with_name(f"{NAME}.{number - 1}")
        if older.exists():
            older.replace(path.with_name(f"{NAME}.{number}"))
    path.replace(path.with_name(f"{NAME}.1"))
    path.touch()


def rest(file: LogFile) -> tuple[list[int], int]:
    """What there is to read now, and how many gaps."""
    found, gaps, ends = [], 0, 0
    while ends < 3:  # the end of a file may be followed by another
        block = file.read()
        found += numbers(block.lines)
        gaps += block.gap
        ends = ends + 1 if block.at_end else 0
    return found, gaps


def test_what_is_added_is_read(path: Path) -> None:
    file = LogFile(path)
    assert file.read().at_end
    add(path, 1, 2)
    assert rest(file) == ([1, 2], 0)
    add(path, 3)
    assert rest(file) == ([3], 0)


def test_half_a_line_waits_for_its_end(path: Path) -> None:
    file, whole = LogFile(path), entry(1)
    with path.open("ab", buffering=0) as out:
        out.write(whole[:20])
        assert rest(file) == ([], 0)
        out.write(whole[20:] + entry(2)[:5])
        assert rest(file) == ([1], 0)
        out.write(entry(2)[5:])
    assert rest(file) == ([2], 0)


def test_more_than_a_block(path: Path) -> None:
    count = 3 * BLOCK_BYTES // len(entry(1000))
    add(path, *range(1000, 1000 + count))
    assert rest(LogFile(path)) == (list(range(1000, 1000 + count)), 0)


def test_a_rotated_file_is_read_to_its_end_first(path: Path) -> None:
    file = LogFile(path)
    add(path, 1)
    assert rest(file) == ([1], 0)
    add(path, 2)
    rotate(path)
    add(path, 3)
    assert rest(file) == ([2, 3], 0)


def test_two_rotations_between_two_looks(path: Path) -> None:
    file = LogFile(path)
    for number in (1, 2):
        add(path, number)
        rotate(path)
    add(path, 3)
    assert rest(file) == ([1, 2, 3], 0)


def test_what_was_rotated_away_is_a_gap(path: Path) -> None:
    file = LogFile(path)
    for number in (1, 2, 3, 4):
        add(path, number)
        rotate(path)
    add(path, 5)
    # The one that is open is still readable, its successor is not.
    assert rest(file) == ([1, 3, 4, 5], 1)


def test_a_truncated_file_begins_anew(path: Path) -> None:
    file = LogFile(path)
    add(path, 1, 2)
    assert rest(file) == ([1, 2], 0)
    os.truncate(path, 0)
    add(path, 3)
    assert rest(file) == ([3], 1)


@pytest.mark.parametrize("since", [0, MOMENT + 100 * SECOND])
def test_a_truncated_file_that_grew_past_our_place_begins_anew(path: Path, since: int) -> None:
    add(path, 1, 2, 3)
    file = LogFile(path, since)
    assert rest(file) == ([1, 2, 3], 0)
    os.truncate(path, 0)
    add(path, *range(4, 20))
    assert rest(file) == (list(range(4, 20)), 1)
    add(path, 20)
    assert rest(file) == ([20], 0)


def test_a_file_cut_under_the_engines_hand_goes_on_behind_the_hole(path: Path) -> None:
    """By another's log rotation that copies and truncates; the Engine's place stays where it was."""
    file = LogFile(path)
    with path.open("wb", buffering=0) as engine:
        engine.write(entry(1) + entry(2))
        assert rest(file) == ([1, 2], 0)
        os.truncate(path, 0)
        assert rest(file) == ([], 1)
        engine.write(entry(3))
        assert rest(file) == ([3], 0)
        os.truncate(path, 0)
        engine.write(entry(4))
        assert rest(file) == ([4], 1)
        engine.write(entry(5))
        assert rest(file) == ([5], 0)


def test_a_removed_file_is_read_to_its_end(path: Path) -> None:
    file = LogFile(path)
    add(path, 1)
    path.unlink()
    assert rest(file) == ([1], 0)


def test_between_the_renaming_and_the_new_file(path: Path) -> None:
    file = LogFile(path)
    add(path, 1)
    path.rename(path.with_name(f"{NAME}.1"))
    assert rest(file) == ([1], 0)
    add(path, 2)
    assert rest(file) == ([2], 0)


def test_a_new_container_is_read_from_its_oldest_file(path: Path) -> None:
    add(path, 1)
    rotate(path)
    add(path, 2)
    assert rest(LogFile(path)) == ([1, 2], 0)


@pytest.mark.parametrize("since", [0, 1, 599, 1200, 1799])
def test_it_begins_a_little_before_the_moment_asked_for(path: Path, since: int) -> None:
    """The cursor leaves out what is too old; nothing that is new is passed over."""
    for first in (0, 600, 1200):
        with path.open("ab") as out:
            out.write(b"".join(entry(n, "x" * 2000) for n in range(first, first + 600)))
        if first < 1200:
            rotate(path)
    file = LogFile(path, MOMENT + since * SECOND)
    found = b""
    while len(found) < 40_000_000 and not (block := file.read()).at_end:
        found += block.lines
    first = int(found.split(b'"')[3].split(b"x")[0])
    assert first <= max(0, since - INTERLEAVED_NANO // SECOND)
    assert first >= since - 600 - 5 - 200 or first in (0, 600)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LogFile(tmp_path / NAME)
