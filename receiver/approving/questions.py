"""What people are asked before a step: what exactly, and what it would stop or delete. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from receiver.garbage import size
from receiver.records import Ask
from target.engine import Container
from target.reclaimable import Reclaimable

MOST_NAMED = 8


def rollback(apps: Sequence[Container]) -> Ask:
    """The target is filled in by the gate, as it is known then."""
    blast = (
        f"{_names(apps)} is stopped and started with the other image: one to three minutes without"
        " the application, and uploads under way break off. MinIO and its data stay as they are."
    )
    return Ask("rollback", "", "", blast, why="")


def restart(action: str, containers: Sequence[Container]) -> Ask:
    names = _names(containers)
    blast = f"{names} is restarted: up to a minute; uploads under way break off."
    return Ask(action, " ".join(one.id for one in containers), names, blast, why="")


def stop(containers: Sequence[Container]) -> Ask:
    """The subject is what runs: where something else runs, that is another question."""
    names = _names(containers)
    blast = (
        f"Stops {names}: nobody can use the application until somebody starts it again on the host"
        " (sermon-recovery emergency-restart). Uploads under way break off. MinIO goes on, all data"
        " stay, and so does everything else on the machine."
    )
    why = "the rollback has failed, and it is still critical"
    return Ask("emergency_stop", " ".join(sorted(one.id for one in containers)), names, blast, why)


def stop_elsewhere(subject: str, engine_words: str) -> Ask:
    """Where the Engine does not answer here: GitHub's workflow stops the deployment by its runner."""
    blast = (
        "Stops the application and MinIO by GitHub's workflow, on the machine of its runner: nobody can use"
        " the application until somebody starts it again there (sermon-recovery emergency-restart). Uploads"
        " under way break off. All data stay, and so does everything else on the machine."
    )
    why = f"the rollback has failed, it is still critical, and this process cannot do it: {engine_words}"
    return Ask("emergency_stop", subject, "the deployment, by GitHub's workflow", blast, why)


def old_versions(found: Sequence[Reclaimable]) -> Ask:
    """The subject is the images' ids: no other image is ever deleted by this approval."""
    names = [one.names[0] for one in found]
    listed = ", ".join(names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    count = f"{len(found)} unused version{'s' if len(found) != 1 else ''} of the application"
    blast = (
        f"Removes {listed}{more} from this machine: up to {size(sum(one.bytes for one in found))}."
        " Nothing is stopped. To have one again it must be pulled. What runs, what proved good lately,"
        " volumes and MinIO's data stay."
    )
    return Ask("cleanup", " ".join(one.id for one in found), count, blast, why="")


def _names(containers: Sequence[Container]) -> str:
    names = [one.name for one in containers]
    if not names:
        return "the application"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
