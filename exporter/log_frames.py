"""Cuts the Engine's multiplexed log into frames, by their size fields, without walking byte by byte.

Nearly every frame is one line, so a split at newlines gives nearly every frame; the header says
whether it did. A header may contain a newline itself, and a long line comes in frames that end without
one: there the pieces are put together again and cut where the header says.
Format: Docker Engine API, "Attach to a container: stream format".
"""

from __future__ import annotations

from operator import eq, itemgetter

from target.engine import EngineError
from target.engine_frames import MAX_FRAME_BYTES, FrameError

HEADER_BYTES = 8
ENGINE_ERROR = 3
_LONGEST_KNOWN_BYTES = 4096
_HEADER_OF = itemgetter(slice(HEADER_BYTES))


class FrameCutter:
    """Fed with what arrives; keeps the beginning of a frame that has not ended."""

    def __init__(self) -> None:
        self._rest = b""
        self._lengths: dict[bytes, int] = {}
        """By header of stdout and stderr: the length of a frame without its newline."""

    @property
    def pending(self) -> int:
        """Bytes of a frame that has not ended yet."""
        return len(self._rest)

    def cut(self, chunk: bytes) -> tuple[list[bytes], list[int]]:
        """The frames that ``chunk`` completes, with their headers and without a newline at their end.

        And the places of those that did not end in one. Raises FrameError where the stream cannot be one, and
        EngineError for an error that the Engine puts into it.
        """
        *pieces, tail = (self._rest + chunk).split(b"\n")
        expected = map(self._lengths.get, map(_HEADER_OF, pieces))
        whole = list(map(eq, expected, map(len, pieces)))
        whole.append(False)
        frames: list[bytes] = []
        unended: list[int] = []
        held, at = b"", 0
        while at < len(pieces):
            if not held and (run := whole.index(False, at)) > at:
                frames += pieces[at:run]
                at = run
            else:
                held = self._walk(held + pieces[at] + b"\n", frames, unended)
                at += 1
        self._rest = self._walk(held + tail, frames, unended)
        return frames, unended

    def _walk(self, data: bytes, frames: list[bytes], unended: list[int]) -> bytes:
        """Exactly: add the frames that are whole; what remains."""
        at = 0
        while len(data) - at >= HEADER_BYTES:
            end = at + HEADER_BYTES + _size(data, at)
            if end > len(data):
                break
            if data[end - 1 : end] == b"\n" and end - at > HEADER_BYTES:
                frames.append(data[at : end - 1])
                self._know(frames[-1])
            else:
                unended.append(len(frames))
                frames.append(data[at:end])
            at = end
        return data[at:]

    def _know(self, frame: bytes) -> None:
        if frame[0] in (1, 2) and len(frame) <= _LONGEST_KNOWN_BYTES:
            self._lengths[frame[:HEADER_BYTES]] = len(frame)


def payload(frame: bytes) -> bytes:
    """What was written, with its newline where it had one."""
    size = int.from_bytes(frame[4:HEADER_BYTES], "big")
    body = frame[HEADER_BYTES:]
    return body if len(body) == size else body + b"\n"


def _size(data: bytes, at: int) -> int:
    """The size that the header at ``at`` gives."""
    size = int.from_bytes(data[at + 4 : at + HEADER_BYTES], "big")
    if data[at] > ENGINE_ERROR or any(data[at + 1 : at + 4]):
        raise FrameError("the Engine's log stream is not framed as it should be")
    if size > MAX_FRAME_BYTES:
        raise FrameError(f"the Engine's log stream announces a frame of {size} bytes")
    if data[at] == ENGINE_ERROR and len(data) - at >= HEADER_BYTES + size:
        words = data[at + HEADER_BYTES : at + HEADER_BYTES + size][:200].decode(errors="replace")
        raise EngineError(f"log: the Engine says: {words.strip()}")
    return size
