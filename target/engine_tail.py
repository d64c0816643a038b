"""The end of a container's log as lines with their time, and the log as it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from target.engine import Container, Engine
from target.engine_frames import FrameParser, LineParser
from target.log_lines import LineAssembler, parse_entry

if TYPE_CHECKING:
    from target.engine_stream import EngineStream


class LogLine(NamedTuple):
    """One whole line of one stream (1 stdout, 2 stderr) and when it was written."""

    moment: datetime
    stream: int
    body: bytes


def recent_lines(
    engine: Engine, container: Container, lines: int, since: float = 0.0
) -> list[LogLine]:
    """The last ``lines`` entries since the unix time ``since``, in order. Raises EngineError."""
    data = engine.recent_log(container.id, lines, since)
    if container.tty:
        entries: Iterable[tuple[int, bytes]] = ((1, line) for line in LineParser().feed(data))
    else:
        entries = FrameParser().feed(data)
    return list(_lines(entries, LineAssembler(tty=container.tty)))


async def following(
    stream: EngineStream, container: Container, since_nano: int
) -> AsyncIterator[LogLine]:
    """Lines from ``since_nano`` on until the container stops. Raises EngineError."""
    assembler = LineAssembler(tty=container.tty)
    async with stream.logs(container.id, since_nano, tty=container.tty) as entries:
        async for number, payload in entries:
            for line in _lines([(number, payload)], assembler):
                yield line


def _lines(entries: Iterable[tuple[int, bytes]], assembler: LineAssembler) -> Iterator[LogLine]:
    for stream, payload in entries:
        entry = parse_entry(payload)
        moment = datetime.fromtimestamp(entry.time_nano / 1e9, UTC)
        for line in assembler.feed(stream, entry.body):
            yield LogLine(moment, line.stream, line.body)
