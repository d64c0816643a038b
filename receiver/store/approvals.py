"""SQL of approvals. Every function that moves a state says from where; the file itself allows no other way."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

from receiver.records import Approval, Ask, Step
from receiver.store import rows

_NEWEST_FIRST = "ORDER BY state NOT IN ('asked', 'granted'), id DESC"


def approval(c: Connection, approval_id: int) -> Approval | None:
    row = c.execute("SELECT * FROM approvals WHERE id = ?", (approval_id,)).fetchone()
    return rows.to_approval(row) if row else None


def approvals(c: Connection, limit: int = 50) -> list[Approval]:
    """Open ones first, then the newest."""
    found = c.execute(f"SELECT * FROM approvals {_NEWEST_FIRST} LIMIT ?", (limit,))  # noqa: S608 - our own text
    return [rows.to_approval(row) for row in found]


def of_incident(c: Connection, incident_id: int) -> list[Approval]:
    """The oldest first."""
    found = c.execute("SELECT * FROM approvals WHERE incident_id = ? ORDER BY id", (incident_id,))
    return [rows.to_approval(row) for row in found]


def ask(c: Connection, step: Step, what: Ask, expires_at: datetime, now: datetime) -> int | None:
    """A new question about a step; its number, None while another of the step's is open."""
    row = c.execute(
        "INSERT INTO approvals (incident_id, step_id, action, subject, target, blast, why, asked_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
        (
            step.incident_id,
            step.id,
            what.action,
            what.subject,
            what.target,
            what.blast,
            what.why,
            now.timestamp(),
            expires_at.timestamp(),
        ),
    ).fetchone()
    return int(row["id"]) if row else None


def grant(c: Connection, approval_id: int, who: str, holds_until: datetime, now: datetime) -> bool:
    """asked -> granted, only before it expires."""
    done = c.execute(
        "UPDATE approvals SET state = 'granted', who = :who, decided_at = :now, holds_until = :until"
        " WHERE id = :id AND state = 'asked' AND expires_at > :now",
        {
            "id": approval_id,
            "who": who,
            "until": holds_until.timestamp(),
            "now": now.timestamp(),
        },
    )
    return done.rowcount == 1


def deny(c: Connection, approval_id: int, who: str, now: datetime) -> bool:
    """asked -> denied, only before it expires."""
    done = c.execute(
        "UPDATE approvals SET state = 'denied', who = :who, decided_at = :now"
        " WHERE id = :id AND state = 'asked' AND expires_at > :now",
        {"id": approval_id, "who": who, "now": now.timestamp()},
    )
    return done.rowcount == 1


def expire(c: Connection, now: datetime) -> list[Approval]:
    """asked, granted -> expired, of those whose time has come. Their steps are due. Returns them."""
    found = c.execute(
        "UPDATE approvals SET state = 'expired' WHERE state IN ('asked', 'granted')"
        " AND CASE state WHEN 'asked' THEN expires_at ELSE holds_until END <= :now RETURNING *",
        {"now": now.timestamp()},
    )
    expired = [rows.to_approval(row) for row in found.fetchall()]
    for one in expired:
        _hasten(c, one.step_id, now)
    return expired


def overtake(c: Connection, step_id: int, words: str) -> list[Approval]:
    """asked, granted -> overtaken, of one step. Returns them."""
    found = c.execute(
        "UPDATE approvals SET state = 'overtaken', words = ? WHERE step_id = ? AND state IN ('asked', 'granted') RETURNING *",
        (words, step_id),
    )
    return [rows.to_approval(row) for row in found.fetchall()]


def use(c: Connection, step_id: int, subject: str, now: datetime) -> bool:
    """granted -> used, of what was granted for exactly this; in the transaction in which it begins."""
    done = c.execute(
        "UPDATE approvals SET state = 'used', used_at = :now WHERE step_id = :step AND subject = :subject"
        " AND state = 'granted' AND holds_until > :now",
        {"step": step_id, "subject": subject, "now": now.timestamp()},
    )
    return done.rowcount == 1


def hasten(c: Connection, approval: Approval, now: datetime) -> None:
    """It has been decided: its step is looked at now."""
    _hasten(c, approval.step_id, now)


def next_end(c: Connection) -> datetime | None:
    """When the next open one expires."""
    row = c.execute(
        "SELECT min(CASE state WHEN 'asked' THEN expires_at ELSE holds_until END) FROM approvals"
        " WHERE state IN ('asked', 'granted')"
    ).fetchone()
    return rows.to_at(row[0])


def waiting(c: Connection) -> int:
    """How many wait for a person."""
    query = "SELECT count(*) FROM approvals WHERE state = 'asked'"
    return int(c.execute(query).fetchone()[0])


def _hasten(c: Connection, step_id: int, now: datetime) -> None:
    c.execute(
        "UPDATE steps SET due_at = min(due_at, ?) WHERE id = ? AND state IN ('pending', 'running')",
        (now.timestamp(), step_id),
    )
