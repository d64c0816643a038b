"""The Engine's two endless answers, cut into what they are made of: events, frames of a log, lines. Pure.

Formats: Docker Engine API, "Monitor events", and for the framing "Attach to a container: stream format".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from target.engine import EngineError, sound_id

MAX_FRAME_BYTES = 1024 * 1024
"""A log entry is at most 16 KiB and its stamp; a frame that says it is longer than this is no frame."""
MAX_ENTRY_BYTES = 64 * 1024
"""A TTY's log has no frames; a line longer than this is handed on in pieces."""
MAX_EVENT_BYTES = 1024 * 1024
_HEADER = 8
_NO_JSON = (ValueError, RecursionError)
"""What json.loads raises: of hostile depth the latter."""


CHANGES = (
    *("create", "start", "restart", "stop", "kill", "die", "oom", "pause", "unpause"),
    *("rename", "update", "health_status", "destroy"),
)
"""Events that change what a container is. Each run of a health check would be three more (``exec_…``)."""


class FrameError(EngineError):
    """The bytes are not the Engine's multiplexed stream."""


class FrameParser:
    """Cuts the multiplexed stream into (stream, payload): 0 stdin, 1 stdout, 2 stderr, 3 the Engine's own error.

    Each frame is ``{stream, 0, 0, 0, size as big-endian u32}`` and ``size`` bytes.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a frame that has not ended yet."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """All frames that ``chunk`` completes. Raises FrameError where the stream cannot be one."""
        self._buffer += chunk
        frames, at, end = [], 0, len(self._buffer)
        while end - at >= _HEADER:
            stream, size = self._buffer[at], int.from_bytes(self._buffer[at + 4 : at + 8], "big")
            if stream > 3 or any(self._buffer[at + 1 : at + 4]):
                raise FrameError("the Engine's log stream is not framed as it should be")
            if size > self._max:
                raise FrameError(f"the Engine's log stream announces a frame of {size} bytes")
            if end - at < _HEADER + size:
                break
            frames.append((stream, bytes(self._buffer[at + _HEADER : at + _HEADER + size])))
            at += _HEADER + size
        del self._buffer[:at]
        return frames


class LineParser:
    """Cuts a stream into lines with their newline; one longer than ``max_bytes`` comes in pieces."""

    def __init__(self, max_bytes: int = MAX_ENTRY_BYTES) -> None:
        self._max = max_bytes
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        lines = _cut(self._rest + chunk)
        self._rest = b"" if not lines or lines[-1].endswith(b"\n") else lines.pop()
        while len(self._rest) > self._max:
            lines.append(self._rest[: self._max])
            self._rest = self._rest[self._max :]
        return lines


def _cut(data: bytes) -> list[bytes]:
    """Like splitlines(keepends=True), but at ``\\n`` only: a bare ``\\r`` is a terminal's progress bar."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


@dataclass(frozen=True)
class Event:
    """One event about a container."""

    action: str
    """start, die, oom, destroy, rename, ``health_status: healthy``, …"""
    container_id: str
    time_nano: int
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse_event(line: bytes) -> Event | None:
    """One line of ``GET /events``; None for what is not about a container. Raises EngineError if it is no event."""
    try:
        raw = json.loads(line)
        if raw.get("Type") != "container":
            return None
        actor = raw.get("Actor") or {}
        nano = int(raw.get("timeNano") or int(raw.get("time") or 0) * 10**9)
        if not 0 <= nano < 2**63:
            raise ValueError(f"time {nano}")
        return Event(
            action=str(raw["Action"]),
            container_id=sound_id(actor.get("ID") or raw["id"]),
            time_nano=nano,
            attributes={str(k): str(v) for k, v in (actor.get("Attributes") or {}).items()},
        )
    except (LookupError, TypeError, AttributeError, ArithmeticError, *_NO_JSON) as error:
        raise EngineError(f"an event of the Engine's cannot be read: {error!r}"[:200]) from error
