"""Where the receiver can be killed: every transition of its store, every advance of an action, every message.

The names come from what happens and are written down nowhere else: rows that change are seen by
triggers of the connection's own, actions and notifiers through their public protocols. So a new
action, phase or state is a new point by itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Side = Literal["before", "during", "after"]
"""Of a store's transition: inside its transaction, or right after its commit, when nobody has been
answered yet. Of an action's advance or a message: before it goes out, while it is out, or when the
answer is there and not recorded."""
SILENT_TABLES = ("events", "heartbeats", "readiness")
"""Rows that always come with another change, or with none."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Fate:
    """How a life ends: by chance at every point that is passed."""

    seed: str
    often: float = 0.2
    """The chance at a point; where several are passed in one commit, of them together."""
    spared: frozenset[str] = frozenset()
    """Points where enough have died already: there the chance is small."""
    seldom: float = 0.004
    """The chance there."""


class Reaper:
    """Sees what is passed and kills this process where its fate has it.

    What was passed first, and where it died, goes to ``record`` line by line: such a write outlives
    the process.
    """

    def __init__(self, fate: Fate, record: Path) -> None:
        self._fate = fate
        self._rng = random.Random(fate.seed)
        self._passed: set[tuple[str, Side]] = set()
        self._record = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def wants(self, names: Sequence[str]) -> bool:
        """Whether this passing is to be the last."""
        spared = self._fate.spared.issuperset(names)
        return self._rng.random() < (self._fate.seldom if spared else self._fate.often)

    def passes(self, names: Sequence[str], side: Side) -> None:
        """Where the process comes by; it may not return."""
        if not names:
            return
        if self.wants(names):
            self.die(names, side)
        self.note(names, side)

    def note(self, names: Sequence[str], side: Side) -> None:
        """What was passed and not died at."""
        for name in names:
            if (name, side) not in self._passed:
                self._passed.add((name, side))
                self._write("passed", [name], side)

    def die(self, names: Sequence[str], side: Side) -> None:
        """SIGKILL, as a power cut would have it."""
        self._write("killed", names, side)
        os.kill(os.getpid(), signal.SIGKILL)

    def _write(self, what: str, names: Sequence[str], side: Side) -> None:
        os.write(self._record, (json.dumps([what, list(names), side]) + "\n").encode())


class TappedConnection:
    """A connection whose commits are told to the reaper, with the names of what changed in them."""

    def __init__(self, connection: sqlite3.Connection, reaper: Reaper) -> None:
        self._connection = connection
        self._reaper = reaper
        self._changed: dict[str, None] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if sql == "COMMIT":
            return self._commit()
        return self._connection.execute(sql, parameters)

    def watch(self) -> None:
        """Put triggers of this connection's own on every table."""
        self._connection.create_function("chaos_changed", 3, self._change)
        for table, columns in _tables(self._connection).items():
            old, new = (
                f"json_object({', '.join(f'{c!r}, {side}.{c}' for c in columns)})"
                for side in ("OLD", "NEW")
            )
            for event, before in (("INSERT", "NULL"), ("UPDATE", old)):
                self._connection.execute(
                    f"CREATE TEMP TRIGGER chaos_{table}_{event} AFTER {event} ON main.{table}"
                    f" BEGIN SELECT chaos_changed('{table}', {before}, {new}); END"
                )

    def _change(self, table: str, old: str | None, new: str) -> None:
        name = transition(table, json.loads(old) if old else None, json.loads(new))
        if name:
            self._changed[name] = None

    def _commit(self) -> sqlite3.Cursor:
        changed, self._changed = self._changed, {}
        self._reaper.passes(list(changed), "before")
        done = self._connection.execute("COMMIT")
        self._reaper.passes(list(changed), "after")
        return done


def _tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    names = [row[0] for row in connection.execute(query)]
    return {
        name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        for name in names
        if name not in SILENT_TABLES
    }


def transition(table: str, old: Row | None, new: Row) -> str:
    """The name of what a changed row means; empty where it is no transition. Pure."""
    match table:
        case "alerts":
            return _alert(old, new)
        case "messages":
            return _message(old, new)
        case "steps":
            return _step(old, new)
        case "windows":
            return _window(old, new)
        case "evidence" | "digests":
            return "" if old else {"evidence": "evidence: kept", "digests": "digest: due"}[table]
        case _:
            return _by_state(table.removesuffix("s"), old, new)


def _alert(old: Row | None, new: Row) -> str:
    if old is None:
        return "alert begins"
    if old["ended_at"] is None and new["ended_at"] is not None:
        return "alert ends"
    return "alert repeats" if new["repeats"] > old["repeats"] else ""


def _message(old: Row | None, new: Row) -> str:
    kind = new["kind"]
    if old is None:
        return f"{kind}: to be sent"
    if new["attempts"] > old["attempts"]:
        return f"{kind}: attempt"
    if new["delivered"] != old["delivered"]:
        if not new["message_id"] or new["error"]:
            return f"{kind}: given up"
        again = "posted again" if kind == "call" else "edited"
        return f"{kind}: {'posted' if old['message_id'] is None else again}"
    return f"{kind}: not sent yet" if new["error"] and new["error"] != old["error"] else ""


def _step(old: Row | None, new: Row) -> str:
    if old is None:
        return f"{new['action']}: planned"
    before, after = _stand(old), _stand(new)
    return f"{new['action']}: {before} → {after}" if before != after else ""


def _stand(row: Row) -> str:
    return str(row["phase"] if row["state"] == "running" and row["phase"] else row["state"])


def _window(old: Row | None, new: Row) -> str:
    if old is None:
        return "window opens"
    return f"window told {new['told']}" if new["told"] != old["told"] else ""


def _by_state(what: str, old: Row | None, new: Row) -> str:
    """Any table with a state tells its transitions by it."""
    if "state" not in new:
        return ""
    if old is None:
        return f"{what}: {new['state']}"
    return f"{what}: {old['state']} → {new['state']}" if old["state"] != new["state"] else ""
