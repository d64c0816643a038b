"""One container's log, whatever way it comes: by the block where every entry is a whole and new line, else one by one.

Three forms: the Engine's frames, a terminal's plain lines, and the lines of the json-file. All three
share one cursor, so that a log can go on by another way where it was left.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from exporter.log_blocks import BlockCounter
from exporter.log_frames import HEADER_BYTES, FrameCutter, payload
from exporter.log_json import (
    AFTER_STDERR,
    AFTER_STDOUT,
    BEFORE_BODY,
    all_ended,
    decode_body,
    parse_json_entry,
    tail_of,
    time_of,
    unended_entries,
)
from exporter.log_texts import TextMemo
from exporter.traffic import Traffic
from target.access_log import STDOUT, Text, parse_line, without_colours
from target.engine_stream import LineParser
from target.log_lines import ENTRY_BYTES, Cursor, LineAssembler, parse_entry

STAMP_BYTES = len("2026-01-02T15:04:05.000000000Z ")
_FRAME_BODY = HEADER_BYTES + STAMP_BYTES
STDERR = 2


@dataclass(frozen=True)
class Counters:
    """What counts the lines of all containers: a layout each."""

    traffic: Traffic
    frames: BlockCounter
    terminal: BlockCounter
    file: BlockCounter
    texts: TextMemo

    def settle(self) -> None:
        """After this the traffic contains every line that was read."""
        for one in (self.frames, self.terminal, self.file):
            one.settle()


def counters(traffic: Traffic) -> Counters:
    """Counters that have seen nothing yet."""
    return Counters(
        traffic,
        frames=BlockCounter(traffic, b"Z ", _FRAME_BODY),
        terminal=BlockCounter(traffic, b"Z ", STAMP_BYTES),
        file=BlockCounter(traffic, BEFORE_BODY, len(BEFORE_BODY), decode_body),
        texts=TextMemo(),
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
        unended = [] if all_ended(block, lines) else unended_entries(block, lines)
        self._in_runs(lines, unended, self._file_entry, self._file_block)

    def _in_runs(
        self,
        entries: list[bytes],
        unended: Sequence[int],
        one: Callable[[bytes], None],
        many: Callable[[list[bytes]], None],
    ) -> None:
        """Runs of whole and new lines by the block; what a line in several pieces holds up, one by one."""
        at, marks = 0, [*unended, len(entries)]
        while at < len(entries):
            if self._by_block:
                stop = marks[bisect_left(marks, at)]
                if stop > at:
                    many(entries[at:stop])
                    at = stop
                    continue
            one(entries[at])
            at += 1

    def _file_block(self, lines: list[bytes]) -> None:
        counter = self._counters.file
        unknown = counter.count([line.partition(AFTER_STDOUT)[0] for line in lines])
        for text in self._without_app_lines(unknown, len(BEFORE_BODY)):
            self._file_text(text)
        self._note_file(lines, STDOUT)
        self._note_file(unknown, STDERR)

    def _file_text(self, text: bytes) -> None:
        """One line of the file, of stdout up to its newline.

        A text of stdout has no quote that is not escaped: what stands behind a line is not in it.
        """
        before, mark, _ = text.partition(AFTER_STDERR)
        if mark:
            self._count(decode_body(before[len(BEFORE_BODY) :]), STDERR)
        elif text.endswith(b'Z"}') and (entry := parse_json_entry(text)):
            self._count(entry.body.removesuffix(b"\n"), entry.stream)
        else:
            body = decode_body(text[len(BEFORE_BODY) :])
            self._count(body, STDOUT)

    @property
    def _by_block(self) -> bool:
        return self.cursor.settled and not self._assembler.open

    def _take_frames(self, chunk: bytes) -> None:
        frames, unended = self._frames.cut(chunk)
        self._in_runs(frames, unended, self._frame, self._frame_block)

    def _frame(self, frame: bytes) -> None:
        self.take_entry(frame[0], payload(frame))

    def _frame_block(self, frames: list[bytes]) -> None:
        counter = self._counters.frames
        out = [frame for frame in frames if frame[0] == STDOUT]
        others = [frame for frame in frames if frame[0] != STDOUT] if len(out) < len(frames) else []
        unknown = self._without_app_lines(counter.count(out), _FRAME_BODY)
        if texts := self._without_app_lines(others, _FRAME_BODY):
            places = {id(frame) for frame in (*unknown, *texts)}
            unknown = [frame for frame in frames if id(frame) in places]
        for frame in unknown:
            self._count(frame[_FRAME_BODY:], frame[0])
        self._note(out, STDOUT, HEADER_BYTES)
        self._note([frame for frame in others if frame[0] == STDERR], STDERR, HEADER_BYTES)

    def _without_app_lines(self, lines: list[bytes], body_at: int) -> list[bytes]:
        """Count those that are nothing but the application's messages; the others."""
        others = self._counters.texts.others(lines, body_at)
        self._traffic.add_app_lines(len(lines) - len(others))
        return others

    def _take_terminal(self, chunk: bytes) -> None:
        lines = self._lines.feed(chunk)
        if not (self._by_block and all(map(_is_short_line, lines))):
            for line in lines:
                self.take_entry(STDOUT, line)
            return
        counter = self._counters.terminal
        plain = [without_colours(line[:-1]) for line in lines]
        for line in self._without_app_lines(counter.count(plain), STAMP_BYTES):
            self._count(line[STAMP_BYTES:], STDOUT)
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

    def _count(self, body: bytes, stream: int) -> None:
        """One line, exactly."""
        parsed = parse_line(body, stream)
        self._traffic.add(self._id, parsed)
        if isinstance(parsed, Text):
            self._counters.texts.learn(body, parsed)

    def _note(self, lines: Sequence[bytes], stream: int, at: int) -> None:
        """How far a stream has been read: its last stamp, and how many at the end share it."""
        if lines:
            stamp = lines[-1][at : at + STAMP_BYTES]
            count = _same_at_end(line[at : at + STAMP_BYTES] == stamp for line in reversed(lines))
            self._advance(stream, parse_entry(stamp).time_nano, count)

    def _note_file(self, lines: Sequence[bytes], stream: int) -> None:
        mark = b'"stream":"stdout"' if stream == STDOUT else b'"stream":"stderr"'
        tails = (tail for line in reversed(lines) if (tail := tail_of(line)).startswith(mark))
        last = next(tails, None)
        if last is not None:
            count = 1 + _same_at_end(tail == last for tail in tails)
            self._advance(stream, time_of(last), count)

    def _advance(self, stream: int, time_nano: int, count: int) -> None:
        if time_nano:
            self.cursor.advance(stream, time_nano, count)


def _same_at_end(same: Iterable[bool]) -> int:
    return sum(1 for _ in takewhile(bool, same))


def _is_short_line(line: bytes) -> bool:
    """Not one of several pieces."""
    return len(line) <= ENTRY_BYTES and line.endswith(b"\n")
