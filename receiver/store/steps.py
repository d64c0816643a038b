"""SQL of the ladder's steps: durable work that is due at a time. Every function that moves a state says from where."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from receiver.deciding.decision import PlannedStep
from receiver.records import Step
from receiver.store import rows


def steps(c: Connection, incident_id: int) -> list[Step]:
    return [
        rows.to_step(row)
        for row in c.execute(
            "SELECT * FROM steps WHERE incident_id = ? ORDER BY due_at, id", (incident_id,)
        )
    ]


def step(c: Connection, step_id: int) -> Step | None:
    row = c.execute("SELECT * FROM steps WHERE id = ?", (step_id,)).fetchone()
    return rows.to_step(row) if row else None


def add_step(c: Connection, incident_id: int, planned: PlannedStep, alert: str) -> None:
    """One that waits for a person's approval gives way to the same that comes by itself."""
    c.execute(
        "INSERT INTO steps (incident_id, action, target, alert, state, due_at, asks) VALUES (?, ?, ?, ?, 'pending', ?, ?)"
        " ON CONFLICT (incident_id, action, target) WHERE state IN ('pending', 'running') DO UPDATE SET"
        " asks = 0, due_at = excluded.due_at, alert = excluded.alert, words = ''"
        " WHERE steps.asks = 1 AND excluded.asks = 0 AND steps.state = 'pending'",
        (
            incident_id,
            planned.action,
            planned.target,
            alert,
            planned.due_at.timestamp(),
            planned.ask,
        ),
    )


def claim_step(
    c: Connection, step_id: int, phase: str, detail: Mapping[str, Any], now: datetime
) -> bool:
    """pending -> running. False when somebody else was faster."""
    done = c.execute(
        "UPDATE steps SET state = 'running', phase = ?, detail = ?, started_at = ?, due_at = ?, words = '' WHERE id = ? AND state = 'pending'",
        (phase, json.dumps(dict(detail)), now.timestamp(), now.timestamp(), step_id),
    )
    return done.rowcount == 1


def move_step(
    c: Connection, step_id: int, phase: str, words: str, due_at: datetime, detail: Mapping[str, Any]
) -> None:
    """running -> running, in another phase or later."""
    c.execute(
        "UPDATE steps SET phase = ?, words = ?, due_at = ?, detail = ? WHERE id = ? AND state = 'running'",
        (phase, words, due_at.timestamp(), json.dumps(dict(detail)), step_id),
    )


def defer_step(c: Connection, step_id: int, words: str, due_at: datetime) -> None:
    """pending -> pending, later, with the reason why not yet."""
    c.execute(
        "UPDATE steps SET words = ?, due_at = ? WHERE id = ? AND state = 'pending'",
        (words, due_at.timestamp(), step_id),
    )


def put_off(c: Connection, step_id: int, due_at: datetime) -> None:
    """pending -> pending, not before ``due_at``."""
    c.execute(
        "UPDATE steps SET due_at = max(due_at, ?) WHERE id = ? AND state = 'pending'",
        (due_at.timestamp(), step_id),
    )


def end_step(c: Connection, step_id: int, state: str, words: str, now: datetime) -> None:
    """pending -> refused | dropped, running -> done | failed; the file allows no other way."""
    c.execute(
        "UPDATE steps SET state = ?, phase = '', words = ?, ended_at = ? WHERE id = ? AND state IN ('pending', 'running')",
        (state, words, now.timestamp(), step_id),
    )


def hasten_person(c: Connection, incident_id: int, now: datetime) -> None:
    """Bring the call for a person forward to now; plan one where the row had none."""
    moved = c.execute(
        "UPDATE steps SET due_at = min(due_at, ?) WHERE incident_id = ? AND action = 'person' AND state <> 'dropped'",
        (now.timestamp(), incident_id),
    )
    if moved.rowcount == 0:
        add_step(c, incident_id, PlannedStep(action="person", target="", due_at=now), "")


def drop_pending(
    c: Connection,
    incident_id: int,
    words: str,
    now: datetime,
    *,
    keep_person: bool = False,
    keep: Collection[int] = (),
) -> list[Step]:
    """pending -> dropped, for the steps of an incident whose alerts are over. Returns what was dropped.

    ``keep``: ids of steps that an alert which still fires asks for.
    """
    found = c.execute(
        "UPDATE steps SET state = 'dropped', words = ?, ended_at = ?"
        " WHERE incident_id = ? AND state = 'pending' AND (action <> 'person' OR ? = 0)"
        " AND id NOT IN (SELECT CAST(value AS BIGINT) FROM json_each(?)) RETURNING *",
        (words, now.timestamp(), incident_id, keep_person, json.dumps(list(keep))),
    )
    return [rows.to_step(row) for row in found.fetchall()]


def defer_any(c: Connection, step_id: int, words: str, due_at: datetime) -> None:
    """Later, in whatever state it is."""
    c.execute(
        "UPDATE steps SET words = ?, due_at = ? WHERE id = ? AND state IN ('pending', 'running')",
        (words, due_at.timestamp(), step_id),
    )


def defer_due(c: Connection, incident_id: int, now: datetime, again: datetime) -> None:
    """Whatever of an incident is due now waits."""
    c.execute(
        "UPDATE steps SET due_at = :again WHERE incident_id = :id AND due_at <= :now"
        " AND state IN ('pending', 'running')",
        {"again": again.timestamp(), "id": incident_id, "now": now.timestamp()},
    )


def waiting(c: Connection, incident_id: int) -> set[str]:
    """The actions of an incident's pending steps."""
    found = c.execute(
        "SELECT action FROM steps WHERE incident_id = ? AND state = 'pending'", (incident_id,)
    )
    return {row["action"] for row in found}


def started(c: Connection, action: str, since: datetime) -> list[Step]:
    """Steps of one action that were begun since a moment, the newest first: what budgets count."""
    query = "SELECT * FROM steps WHERE action = ? AND started_at >= ? ORDER BY started_at DESC"
    return [rows.to_step(row) for row in c.execute(query, (action, since.timestamp()))]


def running(c: Connection) -> list[Step]:
    return [
        rows.to_step(row)
        for row in c.execute("SELECT * FROM steps WHERE state = 'running' ORDER BY started_at")
    ]


def due(c: Connection, now: datetime) -> list[int]:
    """Incidents with a step or a check that is due, MinIO's restart before the app's."""
    rows = c.execute(
        "SELECT incident_id, due_at FROM steps WHERE state IN ('pending', 'running') AND due_at <= :now"
        " UNION ALL SELECT id, check_at FROM incidents WHERE state = 'open' AND check_at <= :now ORDER BY 2",
        {"now": now.timestamp()},
    )
    return list(dict.fromkeys(row[0] for row in rows))


def next_due(c: Connection) -> datetime | None:
    """When anything is next due: a step, a check or a message."""
    row = c.execute(
        "SELECT min(at) FROM (SELECT min(due_at) AS at FROM steps WHERE state IN ('pending', 'running')"
        " UNION ALL SELECT min(check_at) FROM incidents WHERE state = 'open') AS next"
    ).fetchone()
    return rows.to_at(row[0])
