"""What can be done about an incident. One file an action, one line here.

An action is a small durable machine: ``prepare`` names its first phase and what must be found
again after a crash, and that is committed; ``advance`` then does one thing and says what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from receiver.evidence import Evidence
from receiver.records import Ask, Step
from receiver.store.history import History


@dataclass(frozen=True)
class Progress:
    """Where a step stands after one advance."""

    state: Literal["running", "done", "failed"]
    words: str
    phase: str = ""
    due_at: datetime | None = None
    """When to advance again; None with ``running`` means at once."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = ""
    """One sentence on how the incident stands now; empty leaves the former."""
    call_person: bool = False
    ask: Ask | None = None
    """A running step needs a person's approval to go on: asked with this, unless it is asked already.

    What became of it stands in ``History.approvals`` at the next advance, which comes at once when
    a person has decided.
    """
    evidence: Evidence | None = None
    """What was collected, to be kept with the incident."""
    uses: str | None = None
    """The subject of a granted approval that this progress rests on. It is used up in the same
    transaction; where it does not hold any more, the step stays where it is."""


class Action(Protocol):
    """One kind of step."""

    name: str

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        """The first phase and the detail to be committed before anything goes out."""
        ...

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        """Do the running step's next thing. Must be safe to repeat after a crash at any instant."""
        ...
