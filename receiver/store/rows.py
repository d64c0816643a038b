"""Rows of the file to the frozen values of records.py."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

from receiver.records import AlertInstance, Approval, Event, Incident, Message, Ring, Step


def to_at(value: float | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, UTC)


def to_time(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def to_incident(row: sqlite3.Row) -> Incident:
    return Incident(
        id=row["id"],
        service=row["service"],
        state=row["state"],
        severity=row["severity"],
        opened_at=to_time(row["opened_at"]),
        ladder_at=to_at(row["ladder_at"]),
        resolved_at=to_at(row["resolved_at"]),
        reopened=row["reopened"],
        verdict=row["verdict"],
        truncated=row["truncated"],
        check_at=to_at(row["check_at"]),
        digest=bool(row["digest"]),
    )


def to_alert(row: sqlite3.Row) -> AlertInstance:
    return AlertInstance(
        id=row["id"],
        incident_id=row["incident_id"],
        fingerprint=row["fingerprint"],
        name=row["name"],
        severity=row["severity"],
        labels=json.loads(row["labels"]),
        annotations=json.loads(row["annotations"]),
        starts_at=to_time(row["starts_at"]),
        first_seen=to_time(row["first_seen"]),
        last_seen=to_time(row["last_seen"]),
        ended_at=to_at(row["ended_at"]),
        repeats=row["repeats"],
    )


def to_step(row: sqlite3.Row) -> Step:
    return Step(
        id=row["id"],
        incident_id=row["incident_id"],
        action=row["action"],
        target=row["target"],
        alert=row["alert"],
        state=row["state"],
        phase=row["phase"],
        due_at=to_time(row["due_at"]),
        words=row["words"],
        started_at=to_at(row["started_at"]),
        ended_at=to_at(row["ended_at"]),
        detail=json.loads(row["detail"]),
        asks=bool(row["asks"]),
    )


def to_approval(row: sqlite3.Row) -> Approval:
    return Approval(
        id=row["id"],
        incident_id=row["incident_id"],
        step_id=row["step_id"],
        action=row["action"],
        subject=row["subject"],
        target=row["target"],
        blast=row["blast"],
        why=row["why"],
        state=row["state"],
        asked_at=to_time(row["asked_at"]),
        expires_at=to_time(row["expires_at"]),
        decided_at=to_at(row["decided_at"]),
        who=row["who"],
        holds_until=to_at(row["holds_until"]),
        used_at=to_at(row["used_at"]),
        words=row["words"],
    )


def to_message(row: sqlite3.Row) -> Message:
    return Message(
        id=row["id"],
        incident_id=row["incident_id"],
        kind=row["kind"],
        notifier=row["notifier"],
        ring=Ring(row["ping"]),
        message_id=row["message_id"],
        revision=row["revision"],
        delivered=row["delivered"],
        due_at=to_time(row["due_at"]),
        attempts=row["attempts"],
        error=row["error"],
        copies=row["copies"],
        note=row["note"],
        since=to_time(row["since"]),
        topic=row["topic"],
    )


def to_event(row: sqlite3.Row) -> Event:
    return Event(
        id=row["id"],
        incident_id=row["incident_id"],
        at=to_time(row["at"]),
        kind=row["kind"],
        words=row["words"],
        who=row["who"],
    )
