"""What is being done to the deployment right now. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from receiver.records import LOOKING, Step


def under_way(step: Step, running: Sequence[Step]) -> str:
    """Another step than this one that changes something, in words; empty for none."""
    for other in running:
        if other.id != step.id and other.action not in {"person", *LOOKING}:
            return f"a {other.action} is under way (incident {other.incident_id}{', ' + other.phase if other.phase else ''})"
    return ""
