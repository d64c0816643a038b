"""SQL of what the Watchdog leaves behind, and of what a look at Alertmanager is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from receiver.store import rows


@dataclass(frozen=True)
class Beats:
    """When each heartbeat alert last came, and whether their absence is an open alert."""

    last: Mapping[str, datetime]
    missing: bool

    @property
    def newest(self) -> datetime | None:
        return max(self.last.values(), default=None)


def beats(c: Connection, missing: str) -> Beats:
    """``missing``: the fingerprint of the alert about the absence."""
    last = c.execute("SELECT name, last_at FROM heartbeats")
    found = {row["name"]: rows.to_time(row["last_at"]) for row in last}
    query = "SELECT 1 FROM alerts WHERE fingerprint = ? AND ended_at IS NULL"
    return Beats(found, c.execute(query, (missing,)).fetchone() is not None)


def came_back(c: Connection, missing: str) -> datetime | None:
    """When the last absence ended."""
    query = "SELECT max(ended_at) FROM alerts WHERE fingerprint = ?"
    return rows.to_at(c.execute(query, (missing,)).fetchone()[0])


@dataclass(frozen=True)
class OpenAlert:
    """An alert that fires by our own record: what must be known to end it in Alertmanager's name."""

    id: int
    fingerprint: str
    name: str
    severity: str
    labels: str
    """A JSON object."""


@dataclass(frozen=True)
class Standing:
    """What fires here, and the newest instance of all: what is newer came after this look."""

    firing: Mapping[str, OpenAlert]
    newest: int


def standing(c: Connection) -> Standing:
    found = c.execute(
        "SELECT id, fingerprint, name, severity, labels FROM alerts WHERE ended_at IS NULL"
    )
    firing = {row["fingerprint"]: OpenAlert(*tuple(row)) for row in found}
    newest = c.execute("SELECT coalesce(max(id), 0) FROM alerts").fetchone()[0]
    return Standing(firing, newest)


def since(c: Connection, newest: int) -> frozenset[str]:
    """The fingerprints of instances that are newer than ``newest``."""
    found = c.execute("SELECT fingerprint FROM alerts WHERE id > ?", (newest,))
    return frozenset(row["fingerprint"] for row in found)
