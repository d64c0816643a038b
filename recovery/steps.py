"""What a verb will do, as a value: ordered steps, each with what is lost and how it is undone.

A plan is made from facts, printed, confirmed, and carried out by run.py; ``--dry-run`` prints the very
same plan. A step holds an act: a frozen value that knows how to do itself with the hands it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from target.compose import Compose
from target.engine import Engine
from target.settings import DeploymentSettings


class StepError(Exception):
    """A step did not succeed; the words say what happened and what to do."""


@dataclass(frozen=True)
class Hands:
    """What acts work with."""

    settings: DeploymentSettings
    engine: Engine
    compose: Compose | None
    progress: Callable[[str], None]
    busy: Path | None = None
    """The deployment's lock, where another change holds it and this one goes on beside it."""


class Act(Protocol):
    """One change, or one look that a plan depends on."""

    def do(self, hands: Hands) -> str:
        """Do it; what came of it, in words. Raises StepError, EngineError, ComposeError or OSError."""
        ...


@dataclass(frozen=True)
class Step:
    words: str
    act: Act
    loses: str = ""
    undo: str = ""
    needed: bool = False
    """Where it fails the plan ends, also one that goes on otherwise."""

    def as_json(self) -> dict[str, str]:
        return {"words": self.words, "loses": self.loses, "undo": self.undo}


@dataclass(frozen=True)
class Plan:
    """``refusal`` is why it may not be done at all; without steps there is nothing to do, and ``title`` says why."""

    title: str
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: str = ""
    expired: bool = False
    """Whether it is refused because the request came too late."""
    done: str = "done"
    """What is said when every step has succeeded."""
    lock: Path | None = None
    """Held while the steps are carried out, where it can be."""
    locked_by_others: bool = False
    """Whether to go on while someone else holds it."""
    goes_on: bool = False
    """Whether the next step is done although one has failed."""
    asks: bool = True

    def lines(self) -> list[tuple[int, str]]:
        """What is printed: (indent, words)."""
        found = [(0, self.title), *((0, f"note: {note}") for note in self.notes)]
        for number, step in enumerate(self.steps, 1):
            found.append((0, f"{number}. {step.words}"))
            found += [(3, f"lost: {step.loses}")] if step.loses else []
            found += [(3, f"undo: {step.undo}")] if step.undo else []
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "notes": list(self.notes),
            "steps": [step.as_json() for step in self.steps],
        }
