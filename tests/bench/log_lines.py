"""CPU of parsing and counting the access log, against the least that could be done with a line."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

from exporter.access_log import parse_line
from exporter.traffic import Traffic

LINES = 100_000


def lines() -> list[bytes]:
    """Four in five are access lines; one in a hundred is hostile. The same ones every time."""
    chance = random.Random(7)
    paths = ["/api/health", "/api/status", "/api/upload", "/", "/wp-login.php", "/assets/a9f3.js"]
    made = []
    for number in range(LINES):
        if number % 100 == 0:
            made.append(b"12:00:00 | 500 | | 1.2.3.4 | \xff\x1b[31m | 200 | x")
        elif number % 5 == 0:
            made.append(b"2026/03/07 23:00:00 INFO Upload successful handler=Upload file=a.wav")
        else:
            micros = chance.randrange(1, 900_000) / 1000
            status = chance.choice([200, 200, 200, 404, 500])
            text = f"12:00:00 | {status} | {f'{micros}µs':>13} | 10.0.0.9 | GET | {chance.choice(paths)}"
            made.append(text.encode())
    return made


def _ours(made: list[bytes]) -> None:
    traffic = Traffic()
    for line in made:
        traffic.add("container", parse_line(line))


def _floor(made: list[bytes]) -> None:
    seen: Counter[tuple[bytes, bytes]] = Counter()
    for line in made:
        parts = line.split(b" | ", 5)
        if len(parts) == 6:
            seen[parts[4], parts[1]] += 1


def measure(rounds: int) -> tuple[list[float], list[float]]:
    """CPU seconds of each round: ours, and the floor, in turn."""
    made = lines()
    pairs = [(_cpu(_ours, made), _cpu(_floor, made)) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _cpu(work: Callable[[list[bytes]], None], made: list[bytes]) -> float:
    began = time.process_time()
    work(made)
    return time.process_time() - began
