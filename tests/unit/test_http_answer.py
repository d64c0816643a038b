"""Bytes of an HTTP answer, good and hostile, whole and in pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.http_answer import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    Answer,
    BrokenBodyError,
    NotHttpError,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(data: bytes, piece: int = 65536, *, closed: bool = True) -> Answer:
    """As a connection would bring it: in pieces, until it is done or closed."""
    answer = Answer()
    for begin in range(0, len(data), piece):
        if not answer.done:
            answer.feed(data[begin : begin + piece])
    if closed and not answer.done:
        answer.end()
    return answer


@pytest.mark.parametrize("piece", [1, 7, 65536])
@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (OK + b"Content-Length: 2\r\n\r\nok", 200, b"ok"),
        (OK + b"Content-Length: 2\r\n\r\nok and more", 200, b"ok"),
        (OK + b"content-length:2\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (OK + b"Content-Length: 0\r\n\r\n", 200, b""),
        (OK + b"\r\nuntil the end", 200, b"until the end"),
        (OK + b"\r\n", 200, b""),
        (b"HTTP/1.0 503\r\n\r\n", 503, b""),
        (b"HTTP/1.1 200 \r\n\r\n", 200, b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"\r\nok", 200, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (CHUNKED + b"1;name=value\r\no\r\n01\r\nk\r\n0\r\nTrailer: x\r\n\r\n", 200, b"ok"),
        (CHUNKED + b"A\r\n0123456789\r\n0\r\n", 200, b"0123456789"),
        (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n", 200, b""),
    ],
)
def test_answers(data: bytes, status: int, body: bytes, piece: int) -> None:
    answer = read(data, piece)
    assert (answer.status, bytes(answer.body), answer.done) == (status, body, True)


@pytest.mark.parametrize("piece", [1, 65536])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"<html>",
        OK,
        OK + b"no colon\r\n\r\n",
        OK + b": nameless\r\n\r\n",
        OK + b"na me: x\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1e3\r\n\r\n",
        OK + b"Content-Length: \xb2\r\n\r\n",
        OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    ],
)
def test_what_is_no_answer(data: bytes, piece: int) -> None:
    with pytest.raises(NotHttpError):
        read(data, piece)


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 100\r\n\r\n{",
        CHUNKED,
        CHUNKED + b"5\r\nok",
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"zz\r\nok\r\n",
        CHUNKED + b"-1\r\nok\r\n",
        CHUNKED + b"1\r\nok\r\n0\r\n\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"1" * 17 + b"\r\n",
        CHUNKED + b"1;" + b"x" * 5000 + b"\r\no\r\n0\r\n\r\n",
        CHUNKED + b"1;" + b"x" * 900 + b"\r\no\r\n" + (b"1;" + b"x" * 900 + b"\r\no\r\n") * 999,
    ],
)
def test_broken_bodies(data: bytes) -> None:
    with pytest.raises(BrokenBodyError):
        read(data)


def test_only_the_first_of_an_endless_body_is_kept() -> None:
    for head in (OK + b"\r\n", OK + b"Content-Length: 999999999\r\n\r\n"):
        answer = read(head + b"x" * 10 * MAX_BODY_BYTES, closed=False)
        assert (len(answer.body), answer.done) == (MAX_BODY_BYTES, True)
    answer = read(CHUNKED + b"FFFFFFFF\r\n" + b"x" * 10 * MAX_BODY_BYTES, closed=False)
    assert (len(answer.body), answer.done) == (MAX_BODY_BYTES, True)


@pytest.mark.parametrize(
    "part", [b"X: y\r\n", b"x", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 102 " + b"x" * 1000]
)
def test_an_endless_head_is_given_up(part: bytes) -> None:
    with pytest.raises(NotHttpError):
        read(OK * (part[:4] != b"HTTP") + part * MAX_HEAD_BYTES, 4096, closed=False)


@given(st.binary(max_size=300), st.integers(1, 40), st.sampled_from([b"", OK, CHUNKED]))
def test_any_bytes_are_an_answer_or_said_to_be_none(data: bytes, piece: int, head: bytes) -> None:
    try:
        answer = read(head + data, piece)
    except (NotHttpError, BrokenBodyError):
        return
    assert answer.done
    assert answer.status is not None
    assert len(answer.body) <= MAX_BODY_BYTES
