"""One container's log, whatever way it comes: by the block where every entry is a whole and new line, else one by one.

Three forms: the Engine's frames, a terminal's plain lines, and the lines of the json-file. All three
share one cursor, so that a log can go on by another way where it was left.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.log_blocks import BlockCounter
from exporter.log_frames import HEADER_BYTES, FrameCutter, payload
from exporter.log_json import (
    AFTER_STDERR,
    AFTER_STDOUT,
    BEFORE_BODY,
    decode_body,
    ends_its_line,
    parse_json_entry,
    tail_of,
    time_of,
)
from exporter.log_layout import FILE, FRAMES, STAMP_BYTES, TERMINAL, Recognised
from exporter.traffic import Traffic
from target.access_log import STDOUT, Access, Text, parse_line, without_colours
from target.engine_frames import LineParser
from target.log_lines import ENTRY_BYTES, Cursor, LineAssembler, parse_entry

STDERR = 2


@dataclass(frozen=True)
class Counters:
    """What counts the lines of all containers: a layout each."""

    traffic: Traffic
    frames: BlockCounter
    terminal: BlockCounter
    file: BlockCounter

    def settle(self) -> None:
        """After this the traffic contains every line that was read."""
        for one in (self.frames, self.terminal, self.file):
            one.settle()


def counters(traffic: Traffic) -> Counters:
    """Counters that have seen nothing yet."""
    return Counters(
        traffic,
        frames=BlockCounter(traffic, FRAMES),
        terminal=BlockCounter(traffic, TERMINAL),
        file=BlockCounter(traffic, FILE),
    )


class LogReader:
    """Counts what one container wrote, each line once. Feed it from one way at a time; ``resume`` before each."""

    def __init__(
        self, container_id: str, since_nano: int, counters: Counters, *, tty: bool = False
    ) -> None:
        """Entries before ``since_nano`` are history."""
        self._id = container_id
        self._counters = counters
        self._traffic = counters.traffic
        self._tty = tty
        self._assembler = LineAssembler(tty=tty)
        self._frames = FrameCutter()
        self._lines = LineParser()
        self.cursor = Cursor(since_nano)

    @property
    def last_nano(self) -> int:
        """When the newest entry was written; 0 before the first."""
        return self.cursor.last_nano

    def resume(self) -> int:
        """Begin to read anew, from the moment that is returned (nanoseconds) on or from any before it."""
        self._frames, self._lines = FrameCutter(), LineParser()
        return self.cursor.resume()

    def take(self, chunk: bytes) -> None:
        """What the Engine sent. Raises FrameError, EngineError."""
        if self._tty:
            self._take_terminal(chunk)
        else:
            self._take_frames(chunk)

    def take_file(self, block: bytes) -> None:
        """Whole lines of the json-file, each with its newline."""
        lines = block.split(b"\n")
        lines.pop()
        known = self._counters.file.recognise(lines)
        unended = [place for place in known.unknown if not ends_its_line(lines[place])]
        self._in_runs(lines, known, unended, self._file_entry, self._file_block)

    def _in_runs(
        self,
        entries: list[bytes],
        known: Recognised,
        unended: Sequence[int],
        one: Callable[[bytes], None],
        many: Callable[[list[bytes], Recognised], None],
    ) -> None:
        """Runs of whole and new lines by the block; what a line in several pieces holds up, one by one."""
        at, marks = 0, [*unended, len(entries)]
        while at < len(entries):
            if self._by_block:
                stop = marks[bisect_left(marks, at)]
                if stop > at:
                    many(entries[at:stop], known.part(at, stop))
                    at = stop
                    continue
            one(entries[at])
            at += 1

    def _file_block(self, lines: list[bytes], known: Recognised) -> None:
        counter = self._counters.file
        unknown = counter.count(lines, known)
        for line in unknown:
            self._count_unknown(counter, line, *_of_file(line))
        self._note_file(lines, STDOUT)
        self._note_file(lines, STDERR)

    @property
    def _by_block(self) -> bool:
        return self.cursor.settled and not self._assembler.open

    def _take_frames(self, chunk: bytes) -> None:
        frames, unended = self._frames.cut(chunk)
        known = self._counters.frames.recognise(frames)
        self._in_runs(frames, known, unended, self._frame, self._frame_block)

    def _frame(self, frame: bytes) -> None:
        self.take_entry(frame[0], payload(frame))

    def _frame_block(self, frames: list[bytes], known: Recognised) -> None:
        counter = self._counters.frames
        unknown = counter.count(frames, known)
        for frame in unknown:
            self._count_unknown(counter, frame, frame[0], frame[FRAMES.body_at :])
        self._note(frames, STDOUT, HEADER_BYTES)
        self._note(frames, STDERR, HEADER_BYTES)

    def _take_terminal(self, chunk: bytes) -> None:
        lines = self._lines.feed(chunk)
        if not (self._by_block and all(map(_is_short_line, lines))):
            for line in lines:
                self.take_entry(STDOUT, line)
            return
        counter = self._counters.terminal
        plain = [without_colours(line[:-1]) for line in lines]
        for line in counter.count(plain, counter.recognise(plain)):
            self._count_unknown(counter, line, STDOUT, line[STAMP_BYTES:])
        self._note(plain, STDOUT, 0)

    def take_entry(self, stream: int, raw: bytes) -> None:
        """One entry with its stamp before it."""
        entry = parse_entry(raw)
        self._exactly(stream, entry.time_nano, entry.body)

    def _file_entry(self, line: bytes) -> None:
        entry = parse_json_entry(line)
        if entry is None:
            self._traffic.add(self._id, Text("unparsable"))
        else:
            self._exactly(*entry)

    def _exactly(self, stream: int, time_nano: int, body: bytes) -> None:
        if self.cursor.is_new(stream, time_nano):
            for line in self._assembler.feed(stream, body):
                self._count(line.body, stream)

    def _count(self, body: bytes, stream: int) -> Access | Text:
        """One line, exactly."""
        parsed = parse_line(body, stream)
        self._traffic.add(self._id, parsed)
        return parsed

    def _count_unknown(self, counter: BlockCounter, line: bytes, stream: int, body: bytes) -> None:
        """One whole ``line`` of a block, exactly; its like may be known from now on."""
        parsed = self._count(body, stream)
        if isinstance(parsed, Text):
            counter.learn_text(line, parsed)

    def _note(self, lines: Sequence[bytes], stream: int, at: int) -> None:
        """How far a stream has been read: its last stamp, which stands at ``at``, and how many at the end share it.

        What stands before the stamp is a frame's header, which says the stream; a terminal has one stream.
        """
        last, moment, count, to = b"", 0, 0, at + STAMP_BYTES
        for line in reversed(lines):
            if not at or line[0] == stream:
                if moment and line[at:to] != last:
                    break
                last = line[at:to]
                moment = moment or parse_entry(last).time_nano  # 0: a damaged one says nothing
                count += bool(moment)
        self._advance(stream, moment, count)

    def _note_file(self, lines: Sequence[bytes], stream: int) -> None:
        mark = b'"stream":"stdout"' if stream == STDOUT else b'"stream":"stderr"'
        last, moment, count = b"", 0, 0
        for line in reversed(lines):
            tail = tail_of(line)
            if tail.startswith(mark):
                if moment and tail != last:
                    break
                last = tail
                moment = moment or time_of(tail)  # 0: a torn write says nothing
                count += bool(moment)
        self._advance(stream, moment, count)

    def _advance(self, stream: int, time_nano: int, count: int) -> None:
        if time_nano:
            self.cursor.advance(stream, time_nano, count)


def _of_file(line: bytes) -> tuple[int, bytes]:
    """Stream and body of a whole line of the json-file.

    A text in JSON has no quote that is not escaped: what stands behind a body is not in it.
    """
    for stream, after in ((STDOUT, AFTER_STDOUT), (STDERR, AFTER_STDERR)):
        text, mark, _ = line.partition(after)
        if mark:
            return stream, decode_body(text[len(BEFORE_BODY) :])
    if entry := parse_json_entry(line):
        return entry.stream, entry.body.removesuffix(b"\n")
    return STDOUT, decode_body(line[len(BEFORE_BODY) :])


def _is_short_line(line: bytes) -> bool:
    """Not one of several pieces."""
    return len(line) <= ENTRY_BYTES and line.endswith(b"\n")
