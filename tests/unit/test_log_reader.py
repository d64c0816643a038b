"""By the block, or line by line with the exact parser: the same counts, whatever the lines are and however they come."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.log_access import LONGEST_BYTES
from exporter.log_blocks import MOST_HELD
from exporter.log_layout import MOST_REMEMBERED
from exporter.log_reader import Counters, LogReader, counters
from exporter.traffic import Traffic
from target.access_log import SIGN_BEGINNINGS, parse_line
from target.log_lines import ENTRY_BYTES, INTERLEAVED_NANO, LineAssembler

MOMENT = 1_767_366_245 * 10**9
STD = "2026/01/02 15:04:05 "


class Written(NamedTuple):
    """One line of a container's log, without its newline."""

    stream: int
    body: bytes


def exact(lines: Sequence[Written], *, tty: bool = False) -> Traffic:
    """The reference: every line by itself."""
    traffic, assembler = Traffic(), LineAssembler()
    for stream, body in lines:
        for line in assembler.feed(stream, body + b"\n"):
            traffic.add("one", parse_line(line.body, 1 if tty else line.stream))
    return traffic


def told(traffic: Traffic) -> tuple[object, ...]:
    tallies = {
        route: (one.requests, one.errors, one.buckets, one.codes, one.nanoseconds)
        for route, one in traffic.tallies.items()
    }
    plain = (traffic.uploads, traffic.upload_failures, traffic.minio_errors, traffic.discord_errors)
    return tallies, traffic.lines, plain


def entries(lines: Sequence[Written]) -> list[tuple[int, bytes]]:
    """As the Engine's copier cuts them: at most 16 KiB, the newline with the last."""
    found = []
    for stream, body in lines:
        whole = body + b"\n"
        found += [
            (stream, whole[at : at + ENTRY_BYTES]) for at in range(0, len(whole), ENTRY_BYTES)
        ]
    return found


def stamp(number: int) -> bytes:
    return b"2026-01-02T15:04:05.%09dZ" % (number // 2)  # two entries share one


def framed(lines: Sequence[Written]) -> bytes:
    parts = []
    for number, (stream, body) in enumerate(entries(lines)):
        payload = stamp(number) + b" " + body
        parts.append(bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload)
    return b"".join(parts)


def terminal(lines: Sequence[Written]) -> bytes:
    return b"".join(stamp(number) + b" " + one.body + b"\n" for number, one in enumerate(lines))


def filed(lines: Sequence[Written]) -> bytes:
    """As the json-file driver writes them."""
    parts = []
    for number, (stream, body) in enumerate(entries(lines)):
        entry = {
            "log": body.decode(errors="replace"),
            "stream": ("stdin", "stdout", "stderr")[stream],
            "time": stamp(number)[:-1].decode().rstrip("0").rstrip(".") + "Z",
        }
        text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False)
        parts.append(text.replace("<", "\\u003c").encode() + b"\n")
    return b"".join(parts)


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Pieces of these sizes, again and again."""
    pieces, at, number = [], 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        pieces.append(data[at : at + size])
        at, number = at + size, number + 1
    return pieces


def reader(*, tty: bool = False, since: int = 0) -> tuple[LogReader, Counters]:
    made = counters(Traffic())
    return LogReader("one", since, made, tty=tty), made


def read(data: bytes, sizes: Sequence[int], *, tty: bool = False) -> Traffic:
    one, made = reader(tty=tty)
    for piece in cut(data, sizes):
        one.take(piece)
    made.settle()
    return made.traffic


def read_file(data: bytes, lines_a_block: int) -> Traffic:
    one, made = reader()
    lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
    for at in range(0, len(lines), lines_a_block):
        one.take_file(b"".join(lines[at : at + lines_a_block]))
    made.settle()
    return made.traffic


def nano(number: int) -> str:
    """A duration as Go prints it."""
    if number < 1000:
        return f"{number}ns" if number else "0s"
    for size, unit in ((10**3, "µs"), (10**6, "ms"), (10**9, "s")):
        if number < size * 1000 and (unit != "s" or number < 60 * 10**9):
            whole, part = divmod(number, size)
            digits = str(part).rjust(len(str(size)) - 1, "0").rstrip("0")
            return f"{whole}.{digits}{unit}" if digits else f"{whole}{unit}"
    minutes, rest = divmod(number, 60 * 10**9)
    return f"{minutes}m{rest / 1e9:g}s"


_LATENCY = st.one_of(
    st.sampled_from([0, 1, 999, 5_000_000, 5_000_001, 4_999_999, 5 * 10**9, 59 * 10**9]).map(nano),
    st.integers(0, 200 * 10**9).map(nano),
    st.sampled_from(
        ["-1.5s", "1.5us", "1.5μs", "1h2m3.456789012s", ".5ms", "5.ms", "1_0ms", "1e3ms"]
    ),
    st.sampled_from(["  1ms | x", "99999999999s", "\x1b[31m5ms", "1\x1b[ms", "NaNs", "١ms", ""]),
)
_PATH = st.one_of(
    st.sampled_from(
        ["/api/health", "/api/files", "/api/upload", "/", "/x | 500 |  1s | ::1 | PUT | /"]
    ),
    st.sampled_from(
        ["/\x1b[31mred", "/back\\slash", '/q"uote<b>', "/end\\", "/a\\n", "", "/é", "/\r", "/\r\r"]
    ),
    st.sampled_from(
        ["/x | ERROR Upload failed method=PutFile", "/api/files/" + "9" * 300, "/\u2028"]
    ),
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=20),
)
_LINE = st.builds(
    "{} | {} | {:>13} | {} | {} | {}".format,
    st.sampled_from(["09:15:02", "23:59:59", "09:15:0x", "09:15:02 | 09:15:03"]),
    st.sampled_from(["200", "500", "404", "999", "20", "\x1b[92m200\x1b[0m"]),
    _LATENCY,
    st.sampled_from(["10.0.0.9", "::1", "a b", ""]),
    st.sampled_from(["GET", "POST", "\x1b[96mGET\x1b[0m", "get", "M" * 40]),
    _PATH,
)
_TEXT = st.sampled_from(
    [
        STD + "INFO Upload successful handler=Upload",
        STD + "INFO Batch upload completed handler=UploadBatch",
        STD + "ERROR Upload failed method=PutFile error=EOF",
        STD + "ERROR Upload failed handler=UploadBatch error=EOF",
        STD + "ERROR MinIO upload failed handler=Upload",
        STD + "[2026/01/02 10:04:05 EST] Discord test failed: x",
        STD + "Discord test failed: x",
        STD + "\\u0044iscord",
        STD,
        STD + "x",
        "2026/01/02 15:04:05.123456 hello there all",
        "panic: x",
        "",
        " | 200 | ",
        "a" * (ENTRY_BYTES - 1),
        "a" * ENTRY_BYTES,
        "a" * (ENTRY_BYTES - 2)
        + "\\n"
        + "09:15:02 | 500 |           1ms | 10.0.0.9 | GET | /api/files",
        "a" * ENTRY_BYTES + "09:15:02 | 500 |           1ms | 10.0.0.9 | GET | /api/files",
        "x"
        * 214,  # with its stamp and newline 256 bytes: sizes around those with a newline in their header
        "x" * (266 - 32),
    ]
)
_BODY = st.one_of(_LINE, _LINE, _TEXT).map(str.encode)
_WRITTEN = st.builds(Written, st.sampled_from([1, 1, 2]), _BODY)
_REPEATED = st.lists(_WRITTEN, max_size=12).flatmap(
    lambda few: st.lists(st.sampled_from(few), max_size=40) if few else st.just([])
)
# Of a line that has been seen only what stands in the number's columns, the clock's or a message's end is new.
_NUMBERS = st.one_of(
    st.sampled_from(
        ["1.5", "0", "99", ".5", "5.", "1_0", "1e3", "1 5", "5 ", "", "-1", "+1", "1.2.3"]
    ),
    st.sampled_from(
        [".1234567890", "nan", "inf", "1\x1b[m", "12345678.12", "1 | 2 ", "\t1", "1\\", '"1', "1m3"]
    ),
    st.text(st.sampled_from("0123456789. |-eE_"), max_size=11),
)
_SAME = st.one_of(
    st.builds(
        "{} | 200 | {:>11}{} | ::1 | GET | /api/files".format,
        st.sampled_from(["09:15:02", "09:15:02", "09:15:0x", "1:15:022", "2026/01/"]),
        _NUMBERS,
        st.sampled_from(["ms", "µs", "5s", "0s"]),
    ),
    st.builds(
        "{} INFO Upload successful{}".format,
        st.sampled_from(["2026/01/02 15:04:05", "2026/01/02 15:04:05", "2026/01/02 15:04:0x"]),
        st.sampled_from(["", " a", " a\\", " a\\n", '"', " \\\\", "\r", "x" * ENTRY_BYTES]),
    ),
    st.sampled_from([STD + "ERROR Upload failed method=PutFile", STD + "ERROR Up it goes"]),
)
_SEEN = [
    *(
        f"09:15:02 | 200 |         1.5{unit} | ::1 | GET | /api/files"
        for unit in ("ms", "µs", "5s", "0s")
    ),
    *(f"2026/01/02 15:04:05 INFO Upload successful{end}" for end in ("", " a")),
    STD + "ERROR Up it goes",
]
_ALIKE = st.lists(
    st.builds(Written, st.sampled_from([1, 1, 2]), _SAME.map(str.encode)), max_size=40
).map(lambda lines: [Written(1, one.encode()) for one in _SEEN] * 10 + lines)
_SIZES = st.lists(st.integers(1, 5000), min_size=1, max_size=4)
_LONG = settings(max_examples=60, deadline=None)


@_LONG
@given(st.one_of(_REPEATED, _ALIKE), _SIZES)
def test_frames(lines: list[Written], sizes: list[int]) -> None:
    assert told(read(framed(lines), sizes)) == told(exact(lines))


_PIECE = "x" * (ENTRY_BYTES - 2) + "\\n"
"""The end of an entry that does not end its line: a backslash and an n of its own."""
_QUOTED = "09:15:02 | 500 |           1ms | 10.0.0.9 | GET | /api/files"
_SEEN_BACKSLASH = STD + "INFO Upload successful\\"
_LONG_MESSAGE = (STD + "INFO Upload successful " + _PIECE)[: ENTRY_BYTES - 2] + "\\n" + _QUOTED


@_LONG
@given(st.one_of(_REPEATED, _ALIKE), st.integers(1, 40))
@example([Written(1, (_PIECE + _QUOTED).encode())], 1)
@example(
    [*[Written(1, _SEEN_BACKSLASH.encode())] * 4, *[Written(1, _LONG_MESSAGE.encode())] * 4], 2
)
def test_the_file(lines: list[Written], lines_a_block: int) -> None:
    assert told(read_file(filed(lines), lines_a_block)) == told(exact(lines))


@_LONG
@given(st.one_of(_REPEATED, _ALIKE), _SIZES)
def test_a_terminal(lines: list[Written], sizes: list[int]) -> None:
    short = [one for one in lines if len(one.body) < ENTRY_BYTES - 50]
    assert told(read(terminal(short), sizes, tty=True)) == told(exact(short, tty=True))


@_LONG
@given(st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"")), max_size=20), _SIZES)
@example([b"\x01\x00\x00\x00\x00\x00\x00\x05hello"], [7])
def test_bytes_that_look_like_a_header_are_a_lines_bytes(
    bodies: list[bytes], sizes: list[int]
) -> None:
    lines = [Written(1, body) for body in bodies]
    assert told(read(framed(lines), sizes)) == told(exact(lines))


def access(path: str, status: int = 200, latency: str = "1.5ms") -> bytes:
    return f"09:15:02 | {status} | {latency:>13} | 10.0.0.9 | GET | {path}".encode()


def test_hostile_paths_do_not_grow_what_is_remembered() -> None:
    one, made = reader()
    for block in range(20):
        lines = [Written(1, access(f"/{block}-{n}-" + "x" * (n % 400))) for n in range(1000)]
        one.take(framed(lines))
    made.settle()
    counter = made.frames._access
    assert made.traffic.lines["access"] == 20_000
    assert len(counter._known) <= MOST_REMEMBERED
    assert max(len(request) for _, request, _ in counter._known) <= LONGEST_BYTES
    assert len(counter._groups) < 2000


def test_known_lines_wait_but_not_without_bound() -> None:
    one, made = reader()
    for _ in range(4):
        one.take(framed([Written(1, access("/api/files"))] * MOST_HELD))
    assert made.traffic.lines["access"] > 2 * MOST_HELD
    made.settle()
    assert made.traffic.lines["access"] == 4 * MOST_HELD


def test_the_words_that_are_remembered_are_shorter_than_any_sign() -> None:
    assert min(map(len, SIGN_BEGINNINGS)) > 8


@pytest.mark.parametrize("form", ["frames", "file", "file to frames", "frames to file"])
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 1, 2]), st.booleans()), max_size=60),
    st.lists(st.integers(0, 60), max_size=3),
)
def test_breaks_anywhere_count_each_line_once(
    form: str, steps: list[tuple[int, bool]], breaks: list[int]
) -> None:
    """It is read anew from the moment the cursor names (the Engine) or from before it (the file)."""
    one, made = reader(since=MOMENT)
    moments, moment = [], MOMENT + INTERLEAVED_NANO + 1
    for _, later in steps:
        moment += later
        moments.append(moment)
    ways = {"frames": "r", "file": "f", "file to frames": "fr", "frames to file": "rf"}[form]
    for turn, end in enumerate([*breaks, len(steps)]):
        since = one.resume()
        way = ways[turn % len(ways)]
        for number in range(min(end, len(steps))):
            body, stream = access(f"/{number}"), steps[number][0]
            written = f"2026-01-02T15:04:{(moments[number] - MOMENT) / 1e9 + 5:012.9f}Z".encode()
            if way == "f":
                name = b"stdout" if stream == 1 else b"stderr"
                text = b'{"log":"%b\\n","stream":"%b","time":"%b"}\n'
                one.take_file(text % (body, name, written))
            elif moments[number] >= since:
                payload = written + b" " + body + b"\n"
                one.take(bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload)
    made.settle()
    assert sum(made.traffic.lines.values()) == len(steps)
