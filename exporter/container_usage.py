"""The usage of all watched containers: follows which there are, reads each, and says which could not be read."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from exporter.cgroup_limits import Limits
from exporter.cgroup_reader import ContainerUsage, Descriptors
from exporter.cgroups import REASONS, CgroupError, Tree
from exporter.container_fixed import runs
from exporter.container_rows import Row, Shape
from exporter.context import ContainerLabels
from exporter.devices import Devices
from target.engine import Container

LIMITS_SECONDS = 60.0
"""Limits that somebody changed behind the Engine's back show so much later, or one scrape a container."""

log = structlog.get_logger(__name__)
Fallback = Callable[[str], tuple[Shape, Sequence[bytes], int] | None]
"""What is known of a container, by its id, from elsewhere than its control group: series, values, Unix time."""


class Watched:
    """One container, over the scrapes in which it is the same run."""

    def __init__(self, container: Container, labels: Mapping[str, str]) -> None:
        self.container = container
        self.labels = labels
        self.usage: ContainerUsage | None = None
        self.limits_read = 0.0
        """Monotonic time."""

    @property
    def limits(self) -> Limits | None:
        return self.usage.limits if self.usage else None

    @property
    def kernel_kills(self) -> int | None:
        return self.usage.kernel_kills if self.usage else None

    def close(self) -> None:
        if self.usage is not None:
            self.usage.close()
            self.usage = None


@dataclass
class Told:
    """One scrape's reading."""

    rows: list[Row] = field(default_factory=list)
    unreadable: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    missed: set[str] = field(default_factory=set)
    """Ids of running containers whose control group could not be read."""
    from_engine: int = 0


class UsageReader:
    """Used by one scrape at a time."""

    def __init__(
        self, tree: Tree, labels: ContainerLabels, devices: Devices, fallback: Fallback
    ) -> None:
        self.watched: list[Watched] = []
        self._tree = tree
        self._labels = labels
        self._fallback = fallback
        self._containers: Sequence[Container] = ()
        self._descriptors = Descriptors()
        self._devices = devices
        self._refused: set[str] = set()

    def read(self, containers: Sequence[Container], changed: Collection[str]) -> Told:
        """``changed``: ids of those whose limits the Engine has changed since the last scrape."""
        if containers != self._containers:
            self._follow(containers)
        told = Told()
        for one in self.watched:
            if runs(one.container):
                self._one(one, told, one.container.id in changed)
        self._look_at_limits()
        return told

    def close(self) -> None:
        for one in self.watched:
            one.close()

    def _follow(self, containers: Sequence[Container]) -> None:
        before = {one.container.id: one for one in self.watched}
        self.watched = []
        for container in containers:
            one = Watched(container, self._labels.of(container))
            old = before.get(container.id)
            if old is not None and _run(old.container) == _run(container):
                one.usage, old.usage = old.usage, None
                one.limits_read = old.limits_read
            self.watched.append(one)
        for old in before.values():
            old.close()
        self._containers = containers
        self._labels.keep(one.id for one in containers)

    def _one(self, one: Watched, told: Told, changed: bool) -> None:
        try:
            usage = one.usage or self._open(one)
            if changed:
                usage.refresh()
            values = usage.read()
        except CgroupError as error:
            one.close()
            self._miss(one, error, told)
        else:
            if usage.layout is not None:
                told.rows.append(Row(one.labels, usage.layout, values))

    def _open(self, one: Watched) -> ContainerUsage:
        usage = ContainerUsage(self._tree, one.container, self._descriptors, self._devices.name)
        one.usage, one.limits_read = usage, time.monotonic()
        self._labels.found(one.container.id, usage.group.path)
        one.labels = self._labels.of(one.container)
        return usage

    def _miss(self, one: Watched, error: CgroupError, told: Told) -> None:
        told.unreadable[error.reason] += 1
        told.missed.add(one.container.id)
        self._say(one.container, error)
        known = self._fallback(one.container.id)
        if known is not None:
            told.rows.append(Row(one.labels, *known))
            told.from_engine += 1

    def _look_at_limits(self) -> None:
        """Of one container in a scrape at most: they change hardly ever, and the Engine says when."""
        running = [one for one in self.watched if one.usage is not None]
        oldest = min(running, key=lambda one: one.limits_read, default=None)
        if oldest is None or time.monotonic() - oldest.limits_read < LIMITS_SECONDS:
            return
        oldest.limits_read = time.monotonic()
        try:
            if oldest.usage is not None:
                oldest.usage.refresh()
        except CgroupError:
            oldest.close()  # it has just ended: the next scrape says so

    def _say(self, container: Container, error: CgroupError) -> None:
        """A vanishing container is everyday; a refused path needs a person, once."""
        if error.reason == "path" and container.id not in self._refused:
            self._refused = {*list(self._refused)[-100:], container.id}
            log.warning(
                "container usage not readable",
                container=container.name,
                reason=str(error),
                remedy="run our container with `cgroup: host`",
            )


def _run(container: Container) -> tuple[object, ...]:
    return container.id, container.pid, container.started_at, runs(container)
