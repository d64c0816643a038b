"""Series that change with the container only: written once for each change of one, and kept as bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from exporter import container_families as of
from exporter.cgroup_limits import Limits
from exporter.exposition import Family, Samples, number, series
from target.engine import Container

_RUNNING = ("running", "paused")


class Fixed(NamedTuple):
    """A container, its labels, and the limits of its control group where they could be read."""

    container: Container
    labels: Mapping[str, str]
    limits: Limits | None


class FixedText:
    """Keeps what it has written; a change of one container writes that container anew."""

    def __init__(self) -> None:
        self._all: list[Fixed] = []
        self._lines: dict[str, tuple[Fixed, dict[str, bytes]]] = {}
        self._samples: list[Samples] = []

    def write(self, containers: list[Fixed]) -> list[Samples]:
        if containers != self._all:
            self._lines = {one.container.id: self._of(one) for one in containers}
            self._all = containers
            self._samples = [self._family(family) for family in of.FIXED]
        return self._samples

    def _of(self, one: Fixed) -> tuple[Fixed, dict[str, bytes]]:
        before = self._lines.get(one.container.id)
        return before if before is not None and before[0] == one else (one, lines(one))

    def _family(self, family: Family) -> Samples:
        found = (its.get(family.name, b"") for _, its in self._lines.values())
        return Samples(family, b"".join(found))


def lines(one: Fixed) -> dict[str, bytes]:
    """Its lines by the family's name."""
    made: dict[str, bytes] = {}
    for family, labels, value in _series(one.container, one.limits):
        line = series(family.name, {**one.labels, **labels}) + number(value) + b"\n"
        made[family.name] = made.get(family.name, b"") + line
    return made


def _series(
    container: Container, limits: Limits | None
) -> Iterator[tuple[Family, Mapping[str, str], float]]:
    for state in of.STATES:
        yield of.STATE, {"state": state}, int(state == container.state)
    yield of.EXIT_CODE, {}, container.exit_code
    yield of.CREATION_TIME, {}, container.created_at.timestamp()
    if container.state not in _RUNNING:
        return
    health = container.health or "none"
    yield of.HEALTH_STATE, {}, {"none": -1, "healthy": 1}.get(health, 0)
    for status in of.HEALTH:
        yield of.HEALTH_STATUS, {"status": status}, int(status == health)
    if container.started_at is not None:
        yield of.START_TIME, {}, container.started_at.timestamp()
    if limits is not None:
        for family, value in limits.told():
            yield family, {}, value


def runs(container: Container) -> bool:
    """Whether it has a process, and so a control group."""
    return container.pid > 0 and container.state in _RUNNING


def distinct_names(containers: Sequence[Container]) -> list[str]:
    """Names in their order, each once: a container that is being recreated may be there twice."""
    return list(dict.fromkeys(one.name for one in containers))
