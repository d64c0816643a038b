"""The multiplexed stream in pieces, however it is cut; and a chunked answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.log_frames import FrameCutter, payload
from target.engine import EngineError
from target.engine_frames import MAX_FRAME_BYTES, FrameError
from target.engine_log import Unchunker


def frame(stream: int, body: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body


_BODIES = st.lists(
    st.tuples(
        st.sampled_from([1, 2]),
        st.one_of(
            st.binary(max_size=30),
            st.binary(max_size=30).map(lambda body: body + b"\n"),
            st.sampled_from([b"x" * 9 + b"\n", b"x" * 265 + b"\n", b"x" * 2570, b"\n", b""]),
        ),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(_BODIES, st.integers(1, 3000))
def test_frames_cut_anywhere_are_the_same_frames(
    bodies: list[tuple[int, bytes]], size: int
) -> None:
    data = b"".join(frame(*one) for one in bodies)
    cutter = FrameCutter()
    found: list[tuple[int, bytes]] = []
    unended: list[int] = []
    for at in range(0, len(data), size):
        frames, places = cutter.cut(data[at : at + size])
        unended += [len(found) + place for place in places]
        found += [(one[0], payload(one)) for one in frames]
    assert found == bodies
    assert unended == [at for at, (_, body) in enumerate(bodies) if not body.endswith(b"\n")]
    assert cutter.pending == 0


def test_a_line_without_end_is_not_kept() -> None:
    cutter = FrameCutter()
    for _ in range(100):
        cutter.cut(frame(1, b"x" * 16384))
        assert cutter.pending == 0


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\n\r\n", b"\x01\x00\x01\x00" + b"\x00" * 4, b"\x04" + b"\x00" * 7]
)
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(FrameError):
        FrameCutter().cut(data)


def test_a_frame_that_is_too_long() -> None:
    with pytest.raises(FrameError):
        FrameCutter().cut(b"\x01\x00\x00\x00" + (MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


def test_the_engines_own_error() -> None:
    with pytest.raises(EngineError, match="the disk is full"):
        FrameCutter().cut(frame(1, b"a\n") + frame(3, b"the disk is full\n"))


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10), st.integers(1, 50))
def test_a_chunked_body_cut_anywhere(pieces: list[bytes], size: int) -> None:
    data = b"".join(b"%x;x=y\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"
    unchunker = Unchunker()
    found = b"".join(unchunker.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert found == b"".join(pieces)
    assert unchunker.ended


@pytest.mark.parametrize("data", [b"zz\r\n", b"x" * 2000])
def test_what_is_no_chunk(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no end|invalid literal"):
        Unchunker().feed(data)
