"""Call a person: a message that rings, with what to type."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from receiver.actions import Progress
from receiver.records import Step
from receiver.store.history import History


class Person:
    """The worker puts the call into the outbox in the same transaction as the outcome."""

    name = "person"

    def __init__(self, contacts: str) -> None:
        self._contacts = contacts

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        return "calling", {}

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        whom = self._contacts or "whoever reads this (CONTACTS is not set)"
        curable = any(s.action == "rollback" and s.state != "done" for s in history.steps)
        command = "sermon-recovery rollback --dry-run" if curable else "sermon-monitor check"
        return Progress("done", f"Called {whom}. On the host, type: {command}", call_person=True)
