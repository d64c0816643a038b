"""The Engine's streams, as it writes them and as something hostile might."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.engine import EngineError
from target.engine_frames import (
    MAX_FRAME_BYTES,
    Event,
    FrameError,
    FrameParser,
    LineParser,
    parse_event,
)
from target.engine_stream import parse_host


def frame(stream: int, payload: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def test_frames() -> None:
    parser = FrameParser()
    assert parser.feed(frame(1, b"out\n") + frame(2, b"err\n") + frame(1, b"")) == [
        (1, b"out\n"),
        (2, b"err\n"),
        (1, b""),
    ]
    assert parser.pending == 0


def test_a_cut_frame_waits_for_its_rest() -> None:
    parser = FrameParser()
    whole = frame(1, b"text\n")
    for byte in whole[:-1]:
        assert parser.feed(bytes([byte])) == []
    assert parser.pending == len(whole) - 1
    assert parser.feed(whole[-1:]) == [(1, b"text\n")]


@pytest.mark.parametrize(
    "hostile",
    [
        bytes([4, 0, 0, 0, 0, 0, 0, 1]) + b"x",  # a stream that does not exist
        bytes([1, 0, 7, 0, 0, 0, 0, 1]) + b"x",  # no padding
        bytes([1, 0, 0, 0, 255, 255, 255, 255]),  # four gigabytes to come
        b"HTTP/1.1 200 OK\r\n",
        b"2026-01-02T15:04:05Z raw, because it is a terminal\r\n",
    ],
)
def test_what_is_no_frame_is_refused(hostile: bytes) -> None:
    with pytest.raises(FrameError):
        FrameParser().feed(hostile)


def test_the_largest_frame() -> None:
    parser = FrameParser()
    assert parser.feed(frame(1, b"x" * MAX_FRAME_BYTES))[0][1] == b"x" * MAX_FRAME_BYTES
    with pytest.raises(FrameError):
        parser.feed(bytes([1, 0, 0, 0]) + (MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


@given(st.lists(st.binary(max_size=30), max_size=8), st.data())
def test_frames_cut_anywhere(payloads: list[bytes], data: st.DataObject) -> None:
    whole, parser = b"".join(frame(1, payload) for payload in payloads), FrameParser()
    found = []
    while whole:
        size = data.draw(st.integers(1, len(whole)))
        found += parser.feed(whole[:size])
        whole = whole[size:]
    assert found == [(1, payload) for payload in payloads]


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_refused(junk: bytes) -> None:
    parser = FrameParser()
    try:
        parser.feed(junk)
    except FrameError:
        return
    assert parser.pending <= len(junk)


def test_lines_in_bounded_pieces() -> None:
    parser = LineParser(max_bytes=4)
    assert parser.feed(b"ab") == []
    assert parser.feed(b"c\r\nd\rx\n") == [b"abc\r\n", b"d\rx\n"]
    assert parser.feed(b"123456789") == [b"1234", b"5678"]
    assert parser.feed(b"\n") == [b"9\n"]


EVENT = {
    "status": "die",
    "id": "f00d",
    "Type": "container",
    "Action": "die",
    "Actor": {"ID": "f00d", "Attributes": {"exitCode": "137", "name": "sermon-uploader-backend"}},
    "time": 1767366245,
    "timeNano": 1767366245000000042,
}


def test_an_event() -> None:
    event = parse_event(json.dumps(EVENT).encode())
    assert event == Event(
        "die", "f00d", 1767366245000000042, {"exitCode": "137", "name": "sermon-uploader-backend"}
    )


def test_an_event_of_something_else_is_none() -> None:
    assert parse_event(b'{"Type":"network","Action":"connect","Actor":{"ID":"x"}}') is None


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"null", b'{"Type":"container"}', b"\xff", b'"text"']
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(EngineError):
        parse_event(line)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("unix:///var/run/docker.sock", ("/var/run/docker.sock", "http://engine")),
        ("http+unix://%2Frun%2Fdocker.sock", ("/run/docker.sock", "http://engine")),
        ("tcp://10.0.0.1:2375", (None, "http://10.0.0.1:2375")),
        ("http://proxy:2375/", (None, "http://proxy:2375")),
        ("https://proxy:2376", (None, "https://proxy:2376")),
    ],
)
def test_docker_host(host: str, expected: tuple[str | None, str]) -> None:
    assert parse_host(host) == expected


@pytest.mark.parametrize("host", ["", "docker", "ssh://pi", "npipe:////./pipe/docker", "tcp://"])
def test_a_docker_host_that_cannot_be_used(host: str) -> None:
    with pytest.raises(EngineError, match="DOCKER_HOST"):
        parse_host(host)
