"""Counts restarts and out-of-memory kills over the lives and identities of containers. Pure.

The Engine's RestartCount counts what the restart policy did to one container: it begins again at 0
with a recreation and with a restart by hand. Container name, id, StartedAt and RestartCount together
tell how often what bears the name was started again between two inspections; the events of its deaths
tell what they miss. Both tell of the same restarts, so that the larger number counts, never the sum.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from target.engine import Container
from target.engine_frames import Event

_MOST = 512
"""Names and ids remembered that events told of and no inspection has seen."""
_MOST_GONE = 64
"""Of those that are there no more, where not more were there at once: a deployment has a handful, and where
containers come and go all day, what was is not kept for all of them."""
_MOST_DEATHS = 256
"""Deaths remembered between two inspections."""
_LATE_NANO = 10 * 10**9
"""The ``oom`` event may come after the death that it led to, and the inspection of that."""


@dataclass(slots=True)
class _Life:
    """What bore a name when it was last seen. Times are those of the Engine's clock, in Unix nanoseconds."""

    id: str = ""
    began: int = 0
    started_at: datetime | None = None
    restart_count: int = 0
    restarts: int = 0
    deaths: tuple[int, ...] = ()
    """Of what bore the name, since ``began``."""


@dataclass(slots=True)
class _Kills:
    """Out-of-memory kills of one container."""

    total: int = 0
    told_at: int = 0
    """The last event's time, in Unix nanoseconds."""
    owed_until: int = 0
    """An event up to this time tells of a kill that an inspection has told before."""
    ended_at: int = 0
    """The last end that was seen."""


class Restarts:
    """Fed with every inspection and every event."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._kills: dict[str, _Kills] = {}
        self._created: dict[str, None] = {}
        self._most_at_once = _MOST_GONE

    def observe(self, containers: Collection[Container]) -> None:
        """Take in all containers as they are now.

        What was so at the first sight of a name is not counted, unless we saw its creation.
        """
        for container in containers:
            life = self._lives.pop(container.name, None) or _Life()
            life.restarts += self._more(life, container)
            self._lives[container.name] = _seen(life, container)
            self._observe_kill(container)
            self._created.pop(container.id, None)
        self._most_at_once = max(self._most_at_once, len(containers))
        _forget(self._lives, {one.name for one in containers}, self._most_at_once)
        _forget(self._kills, {one.id for one in containers}, self._most_at_once)

    def take(self, event: Event) -> None:
        """One event of the Engine's; those that say nothing of a restart or a kill are passed over."""
        if event.action == "oom":
            self.killed(event.container_id, event.time_nano)
        elif event.action == "create":
            self._created[event.container_id] = None
            _bound(self._created)
        elif event.action == "die":
            life = self._lives.setdefault(event.attributes.get("name", ""), _Life())
            life.deaths = (*life.deaths[1 - _MOST_DEATHS :], event.time_nano)
            _bound(self._lives)
        elif event.action == "destroy":
            self._created.pop(event.container_id, None)

    def killed(self, container_id: str, moment_nano: int) -> None:
        """The Engine told an ``oom`` event."""
        kills = self._kills.setdefault(container_id, _Kills())
        if moment_nano > kills.owed_until:
            kills.total += 1
        kills.told_at, kills.owed_until = moment_nano, 0
        _bound(self._kills)

    def restarts(self, name: str) -> int:
        """Starts of what bears ``name`` after the first that was seen."""
        life = self._lives.get(name)
        return life.restarts if life else 0

    def kills(self, container_id: str) -> int:
        """Out-of-memory kills seen in the container."""
        kills = self._kills.get(container_id)
        return kills.total if kills else 0

    def _more(self, life: _Life, container: Container) -> int:
        """How often it was started again between two sights."""
        if container.started_at is None:
            return 0  # its first start is still to come, and counts then
        if not life.id and container.id not in self._created:
            return 0
        if life.id == container.id and life.started_at == container.started_at:
            return 0
        started = _nano(container.started_at)
        died = sum(life.began <= moment < started for moment in life.deaths)
        return max(died, _by_inspection(life, container))

    def _observe_kill(self, container: Container) -> None:
        """A kill that no event told, because the event stream was broken, shows in the inspection."""
        ended = _nano(container.finished_at) if container.finished_at else 0
        history = 0 if container.id in self._created else ended
        kills = self._kills.pop(container.id, None) or _Kills(ended_at=history)
        self._kills[container.id] = kills
        if ended == kills.ended_at:
            return
        until = ended + _LATE_NANO
        if container.oom_killed and not kills.ended_at < kills.told_at <= until:
            kills.total += 1
            kills.owed_until = until
        kills.ended_at = ended


def _by_inspection(life: _Life, container: Container) -> int:
    done = _done(container)
    if life.id != container.id:
        # The first start of the first bearer that we know is none; a successor's is.
        return done + (life.started_at is not None)
    if life.started_at is None:
        return max(0, done - life.restart_count)
    if done < life.restart_count:
        return 1 + done  # by hand, which begins the count again
    return max(1, done - life.restart_count)


def _seen(life: _Life, container: Container) -> _Life:
    """``life`` as ``container`` shows it. A successor that has not been started yet leaves the old one's."""
    if container.started_at is None and life.started_at is not None:
        return life
    if container.started_at is not None and container.started_at != life.started_at:
        life.began = _nano(container.started_at)
        life.deaths = tuple(moment for moment in life.deaths if moment >= life.began)
    life.id, life.started_at = container.id, container.started_at
    life.restart_count = _done(container)
    return life


def _done(container: Container) -> int:
    """Restarts by policy that have happened: RestartCount already has the one that is still waited for."""
    return max(0, container.restart_count - (container.state == "restarting"))


def _nano(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000


def _bound(remembered: dict[str, _Life] | dict[str, _Kills] | dict[str, None]) -> None:
    """Forget those that were not seen for the longest time."""
    while len(remembered) > _MOST:
        del remembered[next(iter(remembered))]


def _forget(remembered: dict[str, _Life] | dict[str, _Kills], there: set[str], most: int) -> None:
    """Of what is not ``there`` the ``most`` seen last are kept: its successor may come, or a late event."""
    gone = [key for key in remembered if key not in there]
    for key in gone[: max(0, len(gone) - most)]:
        del remembered[key]
