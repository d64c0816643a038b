"""CPU of reading, parsing and counting the access log: against Debian's mtail, and against the least that could be done."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from exporter.log_file import LogFile
from exporter.log_follower import TURN_BYTES
from exporter.log_reader import LogReader, counters
from exporter.traffic import Traffic
from target.engine_log import open_log
from tests.bench import mtail
from tests.real import images
from tests.real.engine import DockerEngine

LINES = 100_000
FILE_LINES = 1_000_000
_BLOCK = TURN_BYTES
_PATHS = ["/api/health", "/api/status", "/api/upload", "/", "/wp-login.php", "/assets/a9f3.js"]
_HOSTILE = (
    b"12:00:00 | 500 | | 1.2.3.4 | \xff\x1b[31m | 200 | x",
    b"12:00:00 | 12:00:01 | 200 |         1.5s | 10.0.0.9 | GET | /a",
    b"12:00:00 | 404 |        1.5ms | 10.0.0.9 | GET | /x | 500 |  1s | ::1 | POST | /api/upload",
    b"12:00:00 | \x1b[92m200\x1b[0m |        1.5ms | 10.0.0.9 | \x1b[96mGET\x1b[0m | /ws\r",
    b"12:00:00 | 200 |      12.5\xce\xbcs | ::1 | GET | /api/files",
    b"12:00:00 | 200 |       1m3.2s | 10.0.0.9 | POST | /api/uploads/sermon",
    b"12:00:00 | 2",
    b'12:00:00 | 404 |        1.5ms | 10.0.0.9 | GET | /"quote\\back<b>&',
    b"2026/03/07 23:00:00 ERROR Upload failed method=PutFile error=EOF",
    b"12:00:00 | 404 |        1.5ms | 10.0.0.9 | GET | /" + b"a" * 20_000,
)


class Figures(NamedTuple):
    """CPU microseconds a line, a round each: the same file read by all, in turn."""

    ours: list[float]
    mtail_histogram: list[float]
    mtail_counters: list[float]
    floor: list[float]


def hostile_log(count: int) -> Iterator[bytes]:
    """Lines with their newlines, always the same: four in five are access lines, one in a hundred is hostile."""
    chance = random.Random(7)
    statuses = [200, 200, 200, 404, 500]
    for number in range(count):
        if number % 100 == 0:
            yield chance.choice(_HOSTILE) + b"\n"
        elif number % 5 == 0:
            yield b"2026/03/07 23:00:00 INFO Upload successful handler=Upload file=a.wav\n"
        else:
            latency = _latency(chance)
            clock = f"12:{number // 60000 % 60:02d}:{number // 1000 % 60:02d}"
            text = f"{clock} | {chance.choice(statuses)} | {latency:>13} | 10.0.0.9 | GET | {chance.choice(_PATHS)}\n"
            yield text.encode()


def _latency(chance: random.Random) -> str:
    micros = chance.randrange(1, 900_000) / 1000
    return f"{micros}µs" if chance.random() < 0.7 else f"{micros}ms"


def write_file(path: Path, count: int) -> None:
    """As the Engine's json-file driver writes the log."""
    with path.open("wb") as out:
        for number, line in enumerate(hostile_log(count)):
            stream = "stderr" if line.startswith(b"2026/") else "stdout"
            stamp = f"2026-01-02T15:{number // 60000 % 60:02d}:{number // 1000 % 60:02d}.{number % 1000:03d}456789Z"
            for at in range(0, len(line), 16384):
                text = line[at : at + 16384].decode(errors="replace")
                entry = {"log": text, "stream": stream, "time": stamp}
                out.write(_json(entry) + b"\n")


def _json(entry: dict[str, str]) -> bytes:
    """As the Engine writes it (moby daemon/logger/jsonfilelog/jsonlog)."""
    text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False)
    for odd in "\ufffd<>&":
        text = text.replace(odd, f"\\u{ord(odd):04x}")
    return text.encode()


def ours(path: Path) -> Traffic:
    """The file, the way the collector reads it."""
    traffic = Traffic()
    made = counters(traffic)
    reader, file = LogReader("container", 0, made), LogFile(path)
    while not (block := file.read()).at_end:
        at = 0
        while at < len(block.lines):
            end = block.lines.rfind(b"\n", at, at + _BLOCK) + 1 or block.lines.find(b"\n", at) + 1
            reader.take_file(block.lines[at:end])
            at = end
    file.close()
    made.settle()
    return traffic


def floor(path: Path) -> Counter[tuple[bytes, bytes]]:
    """Read by the block, split, and one dictionary: nothing is handled that can go wrong."""
    seen: Counter[tuple[bytes, bytes]] = Counter()
    rest = b""
    with path.open("rb") as file:
        while block := file.read(256 * 1024):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                parts = line.split(b" | ", 5)
                if len(parts) == 6:
                    seen[parts[4], parts[1]] += 1
    return seen


def measure_file(rounds: int, count: int = FILE_LINES) -> Figures:
    """The same file read by all, in turn."""
    figures = Figures([], [], [], [])
    with TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "container-json.log"
        write_file(path, count)
        ways: tuple[Callable[[], float], ...] = (
            lambda: _cpu(lambda: ours(path)),
            lambda: mtail.cpu_seconds(mtail.HISTOGRAM, path, directory),
            lambda: mtail.cpu_seconds(mtail.COUNTERS, path, directory),
            lambda: _cpu(lambda: floor(path)),
        )
        for _ in range(rounds):
            for figure, way in zip(figures, ways, strict=True):
                figure.append(way() / count * 1e6)
    return figures


def measure(rounds: int) -> tuple[list[float], list[float]]:
    """CPU seconds of LINES in each round: ours, and the floor, in turn."""
    with TemporaryDirectory() as name:
        path = Path(name) / "container-json.log"
        write_file(path, LINES)
        pairs = [(_cpu(lambda: ours(path)), _cpu(lambda: floor(path))) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


class Shares(NamedTuple):
    """CPU microseconds a line, a round each: a backlog of a real container's log, by both ways."""

    ours_by_engine: list[float]
    engine: list[float]
    ours_by_file: list[float]


def measure_engine(rounds: int, count: int = 200_000) -> Shares:
    """Read a finished container's log of ``count`` lines from a real Engine. Needs root."""
    shares = Shares([], [], [])
    with TemporaryDirectory(prefix="sermon-") as name:
        directory = Path(name)
        with (directory / "lines").open("wb") as out:
            out.writelines(hostile_log(count))
        engine = DockerEngine(directory)
        engine.start()
        try:
            key, path = _finished(engine, directory)
            for _ in range(rounds):
                mine, its = _by_engine(engine, key)
                shares.ours_by_engine.append(mine / count * 1e6)
                shares.engine.append(its / count * 1e6)
                shares.ours_by_file.append(_cpu(lambda: ours(path)) / count * 1e6)
        finally:
            engine.stop()
    return shares


def _finished(engine: DockerEngine, directory: Path) -> tuple[str, Path]:
    """A container that has printed the lines: its id, and its log file."""
    image = images.python_base(engine)
    volume = f"{directory}:/lines:ro"
    command = ["run", "--detach", "--network", "none", "--volume", volume, image]
    key = engine.docker(*command, "cat", "/lines/lines").strip()
    engine.docker("wait", key, timeout=600.0)
    return key, Path(engine.docker("inspect", "--format", "{{.LogPath}}", key).strip())


def _by_engine(engine: DockerEngine, key: str) -> tuple[float, float]:
    """CPU seconds, ours and the Engine's, of one log over its API."""
    made = counters(Traffic())
    reader = LogReader(key, 0, made)

    async def read() -> None:
        async with open_log(engine.host, key, reader.resume()) as log:
            while data := await log.read():
                reader.take(data)

    before = _engine_seconds(engine)
    mine = _cpu(lambda: asyncio.run(read()))
    return mine + _cpu(made.settle), _engine_seconds(engine) - before


def _engine_seconds(engine: DockerEngine) -> float:
    """CPU of the Engine's process since it began."""
    pid = int((engine.directory / "docker.pid").read_text())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    rounds, count = int(os.environ.get("ROUNDS", "3")), int(os.environ.get("LINES", FILE_LINES))
    for name, values in measure_engine(rounds)._asdict().items():
        print(f"{name:15} {median(values):12,.2f} CPU microseconds a line", flush=True)
    for name, values in measure_file(rounds, count)._asdict().items():
        print(f"{name:15} {median(values):12,.2f} CPU microseconds a line", flush=True)


if __name__ == "__main__":
    main()
