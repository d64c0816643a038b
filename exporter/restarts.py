"""Counts restarts and out-of-memory kills over the lives and identities of containers. Pure.

The Engine's RestartCount counts what the restart policy did to one container: it begins again at 0
with a recreation and with a restart by hand. Container name, id, StartedAt and RestartCount together
tell how often what bears the name was started again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from target.engine import Container

_MOST = 512
"""Names and ids remembered; a deployment has a handful."""


@dataclass
class _Life:
    """What bore a name when it was last seen."""

    id: str
    started_at: datetime | None
    restart_count: int
    restarts: int = 0


@dataclass
class _Kills:
    """Out-of-memory kills of one container; ``told`` of them had been told by events at its last end."""

    total: int = 0
    told: int = 0
    finished_at: datetime | None = None


class Restarts:
    """Fed with every inspection and every event."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._kills: dict[str, _Kills] = {}

    def observe(self, containers: Iterable[Container]) -> None:
        """Take in the containers as they are now. What was so at the first sight of a name is not counted."""
        for container in containers:
            life = self._lives.pop(container.name, None)
            restarts = life.restarts + _more(life, container) if life else 0
            self._lives[container.name] = _Life(
                container.id, container.started_at, _done(container), restarts
            )
            self._observe_kill(container)
        _bound(self._lives)
        _bound(self._kills)

    def killed(self, container_id: str) -> None:
        """The Engine told an ``oom`` event."""
        self._kills.setdefault(container_id, _Kills()).total += 1

    def restarts(self, name: str) -> int:
        """Starts of what bears ``name`` after the first that was seen."""
        life = self._lives.get(name)
        return life.restarts if life else 0

    def kills(self, container_id: str) -> int:
        """Out-of-memory kills seen in the container."""
        kills = self._kills.get(container_id)
        return kills.total if kills else 0

    def _observe_kill(self, container: Container) -> None:
        """A kill that no event told, because the event stream was broken, shows in the inspection."""
        kills = self._kills.pop(container.id, None) or _Kills(finished_at=container.finished_at)
        self._kills[container.id] = kills
        if container.finished_at != kills.finished_at:
            if container.oom_killed and kills.total == kills.told:
                kills.total += 1
            kills.told, kills.finished_at = kills.total, container.finished_at


def _done(container: Container) -> int:
    """Restarts by policy that have happened: RestartCount already has the one that is still waited for."""
    return max(0, container.restart_count - (container.state == "restarting"))


def _more(life: _Life, container: Container) -> int:
    """How often it was started again between two sights."""
    done = _done(container)
    if container.id != life.id:
        return 1 + done
    if container.started_at == life.started_at or life.started_at is None:
        return 0
    return 1 + done if done < life.restart_count else max(1, done - life.restart_count)


def _bound(remembered: dict[str, _Life] | dict[str, _Kills]) -> None:
    """Forget those that were not seen for the longest time."""
    while len(remembered) > _MOST:
        del remembered[next(iter(remembered))]
