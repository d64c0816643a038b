"""What comes from the Docker Engine and the kernel: streams, the application's log, files of the control groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from exporter.cgroup_files import File, files
from exporter.cgroup_layout import Layout, tokens_of
from exporter.cgroup_limits import parse_cpu_max, parse_limit, shares_of_weight
from exporter.cgroups import CgroupError, group_path, parse_proc_cgroup
from exporter.log_blocks import BlockCounter
from exporter.log_frames import FrameCutter, payload
from exporter.log_json import parse_json_entry
from exporter.log_layout import FILE, FRAMES, TERMINAL
from exporter.log_reader import Counters, LogReader
from exporter.traffic import Tally, Traffic
from target import access_log
from target.engine import EngineError
from target.engine_frames import FrameParser, LineParser, parse_event
from target.log_lines import LineAssembler, parse_entry

CGROUPS = tuple(files(version, 4, True, lambda numbers: numbers) for version in (1, 2))
CGROUP_FILES = tuple(file for version in CGROUPS for file in version)
CONTAINER_ID = "ab" * 32
MOST_PIECES = 32


def pieces(data: bytes) -> list[bytes]:
    """The bytes behind the first, cut as that one says."""
    step = max(data[0] % 37 + 1, len(data) // MOST_PIECES) if data else 1
    return [data[at : at + step] for at in range(1, len(data), step)]


def log_line(data: bytes) -> None:
    found = access_log.parse_line(data)
    if isinstance(found, access_log.Access):
        assert 0 <= found.status <= 999
        assert 0 <= found.seconds <= access_log.LONGEST_SECONDS
    assert isinstance(access_log.parse_line(data, 2), access_log.Text)
    access_log.parse_duration(data.decode("latin-1"))


def docker_frames(data: bytes) -> None:
    """Both ways of cutting frames find the same, or refuse the same, however the stream arrives."""
    whole, cut, parts = FrameParser(), FrameCutter(), FrameParser()
    told = _found(lambda: whole.feed(data[1:]))
    assert _found(lambda: [one for piece in pieces(data) for one in parts.feed(piece)]) == told
    frames = _found(lambda: [one for piece in pieces(data) for one in cut.cut(piece)[0]])
    if isinstance(frames, list):
        assert [(frame[0], payload(frame)) for frame in frames] == told
        assert parts.pending == cut.pending
    else:  # only this way raises what the Engine itself says of an error
        assert frames == told or frames.startswith("log: the Engine says: ")


T = TypeVar("T")


def _found(cut: Callable[[], list[T]]) -> list[T] | str:
    """All frames, or the words of what refuses them."""
    try:
        return cut()
    except EngineError as error:
        return str(error)


def engine_lines(data: bytes) -> None:
    lines, parts = LineParser(), LineParser()
    told = lines.feed(data[1:])
    assert b"".join([one for piece in pieces(data) for one in parts.feed(piece)]) == b"".join(told)
    for line in told:
        with suppress(EngineError):
            parse_event(line)


def log_entries(data: bytes) -> None:
    assembler = LineAssembler(tty=bool(data[:1] == b"t"))
    for raw in data[1:].split(b"\n"):
        entry = parse_entry(raw)
        assembler.feed(1, entry.body)
        parse_json_entry(raw)


class Counted:
    """A log and what it adds up to. Made once: a Traffic with all its series costs more than the parsing."""

    def __init__(self) -> None:
        self._traffic = Traffic()
        self._unused = (BlockCounter(self._traffic, FRAMES), BlockCounter(self._traffic, TERMINAL))
        self._first = {route: tuple(tally.codes) for route, tally in self._traffic.tallies.items()}

    def of(self, blocks: Iterable[bytes]) -> object:
        """All that was counted of the json-file's ``blocks``."""
        traffic = self._traffic
        made = Counters(traffic, *self._unused, BlockCounter(traffic, FILE))
        reader = LogReader("one", 0, made)
        for block in blocks:
            reader.take_file(block)
        made.settle()
        requests = {r: t for r, t in traffic.tallies.items() if t.requests or t.nanoseconds}
        counts = (traffic.uploads, traffic.upload_failures, traffic.minio_errors, traffic.discord_errors)  # fmt: skip
        told = (requests, dict(traffic.lines), counts, bool(reader.last_nano))
        for route in requests:
            traffic.tallies[route] = Tally(codes=dict.fromkeys(self._first[route], 0))
        traffic.lines = dict.fromkeys(traffic.lines, 0)
        traffic.uploads = traffic.upload_failures = 0
        traffic.minio_errors = traffic.discord_errors = 0
        traffic.forget(set())
        return told


_COUNTED = Counted()


def log_file(data: bytes) -> None:
    """The Engine's json-file: by the block and by the line the same is counted."""
    lines = [line + b"\n" for line in data[1:].split(b"\n")]
    assert _COUNTED.of([b"".join(lines)]) == _COUNTED.of(lines)


def cgroup(data: bytes) -> None:
    """What a layout finds, it finds again in the same text, as numbers: of one file, or of a container's all.

    The first byte says which; the files of a container are parted by a zero.
    """
    kind, text = (data[0] if data else 0), data[1:]
    if kind == 255:
        _where_it_is(text)
    elif kind == 254:
        for line in text.split(b"\n"):
            parse_cpu_max(line)
            shares_of_weight(parse_limit(line))
    elif kind >= 128:
        chosen = CGROUPS[kind % 2]
        parts = text.split(b"\0")[: len(chosen)]
        _laid_out([*parts, *[b""] * (len(chosen) - len(parts))], chosen)
    else:
        _laid_out([text], (CGROUP_FILES[kind % len(CGROUP_FILES)],))


def _laid_out(blobs: list[bytes], chosen: tuple[File, ...]) -> None:
    layout = Layout(blobs, [file.locate for file in chosen])
    tokens = tokens_of(blobs)
    found = layout.values(tokens)
    assert layout.values([*tokens, b"1"]) is None
    if layout.complete and found is not None:
        assert all(text.isdigit() for text in found[0] if text)
        assert found[1].isdigit() or not found[1]


def _where_it_is(text: bytes) -> None:
    paths = parse_proc_cgroup(text)
    for controller in ("", "cpuacct"):
        with suppress(CgroupError):
            path = group_path(paths, controller, CONTAINER_ID)
            assert ".." not in path.split("/")
            assert CONTAINER_ID in path
