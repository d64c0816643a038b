"""Changes of JSON that stay JSON: what reads it in C gives libFuzzer no branch to follow."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

OFTEN_BYTES = 0.35
"""How often the bytes are changed all the same."""
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**400, 1.5, -0.0, 1e308),
    *(float("nan"), "", "0", "x", "a" * 300, "a" * 9000, "\ud800", "\0", "ä\n\r\t\x1b[31m", "@here", "]] | %s"),
    *("2026-03-01T10:00:00Z", "9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00+23:59"),
    *("critical", "info", "none", "resolved", "suppressed", "4", "1h", "restart app @0m", "person @1s"),
    *("ask rollback @1h30m", "ask person @0m", "cleanup images @0m", "restart nowhere @0m", "cleanup"),
    *([], {}, [[]], [{}], {"a": {}}, ["x", "x"]),
)  # fmt: skip
Mutate = Callable[[bytes, int], bytes]


def mutator(at: int, of_bytes: Mutate) -> Callable[[bytes, int, int], bytes]:
    """For inputs whose JSON begins behind ``at`` bytes; ``of_bytes`` is libFuzzer's own."""

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        if chance.random() < OFTEN_BYTES:
            return of_bytes(data, most)
        head, lines = data[:at], data[at:].split(b"\n")
        if chance.random() < 0.1:
            head = chance.randbytes(at)
        place = chance.randrange(len(lines))
        try:
            found = json.loads(lines[place])
        except (ValueError, RecursionError):
            return of_bytes(data, most)
        text = json.dumps(changed(found, chance), ensure_ascii=chance.random() < 0.5)
        lines[place] = text.encode("utf-8", "surrogatepass")
        return (head + b"\n".join(lines))[:most]

    return mutate


def changed(value: Any, chance: random.Random) -> Any:
    """A copy with one place changed."""
    inside = isinstance(value, dict | list) and value
    if not inside or chance.random() < 0.1:
        return chance.choice(HOSTILE)
    copy = value.copy()
    keys = list(copy) if isinstance(copy, dict) else range(len(copy))
    key = chance.choice(keys)
    match chance.randrange(8):
        case 0:
            del copy[key]
        case 1:
            _add(copy, copy[key], chance)
        case 2:
            _add(copy, chance.choice(HOSTILE), chance)
        case _:
            copy[key] = changed(copy[key], chance)
    return copy


def _add(copy: Any, value: Any, chance: random.Random) -> None:
    if isinstance(copy, dict):
        copy[str(chance.choice(HOSTILE))] = value
    else:
        copy.insert(chance.randint(0, len(copy)), value)
