"""The deployment's containers: cAdvisor's figures, and what cAdvisor cannot say of stopped ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence

from exporter import container_families as of
from exporter.cgroup_reader import raise_descriptor_limit
from exporter.cgroups import Tree
from exporter.container_fixed import Fixed, FixedText, distinct_names
from exporter.container_kills import Kills
from exporter.container_rows import CountedText, UsageText
from exporter.container_usage import Told, UsageReader, Watched
from exporter.context import Context
from exporter.devices import Devices
from exporter.engine_stats import EngineStats
from exporter.exposition import Family, Samples
from exporter.restarts import Restarts
from exporter.scrape import CollectorError, Reading
from target.engine import Container
from target.engine_frames import Event
from target.engine_reader import EngineReader

_MOST_UPDATED = 10_000
"""Updates remembered between two scrapes."""


class ContainersCollector:
    """States come from discovery, usage from the control groups' own files: no Engine call in a scrape."""

    name = "containers"

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._discovery = context.discovery
        self._tree = Tree(settings.cgroup_root, settings.proc_root)
        self._restarts = Restarts()
        self._updated: set[str] = set()
        self._devices = Devices(settings.proc_root)
        self._stats = EngineStats(EngineReader(context.engine.host), self._devices.name)
        self._missed: Collection[str] = ()
        self._reader = UsageReader(
            self._tree, context.container_labels, self._devices, self._stats.known
        )
        self._text = ContainersText()
        context.discovery.on_event(self._restarts.take)
        context.discovery.on_event(self._event)

    async def run(self) -> None:
        """Count restarts as they happen; a scrape would miss those in between."""
        raise_descriptor_limit()
        async with asyncio.TaskGroup() as both:
            both.create_task(self._stats.run())
            both.create_task(self._count())

    async def _count(self) -> None:
        seen = -1
        while True:
            seen = await self._discovery.wait_change(seen)
            if self._discovery.connected:
                self._restarts.observe(self._discovery.watched())

    def _event(self, event: Event) -> None:
        if event.action == "update" and len(self._updated) < _MOST_UPDATED:
            self._updated.add(event.container_id)

    def begin(self) -> Reading:
        """Nothing of a container is said while the Engine cannot be asked: it may be long gone."""
        if not self._discovery.connected:
            problem = self._discovery.error
            return lambda: self._nothing(problem)
        self._stats.want(self._missed)
        watched = self._discovery.watched()
        updated, self._updated = self._updated, set()
        restarts = {one.name: self._restarts.restarts(one.name) for one in watched}
        kills = [self._restarts.kills(one.id) for one in watched]
        return lambda: self._read(watched, updated, restarts, kills)

    def _nothing(self, problem: str) -> list[Samples]:
        raise CollectorError(problem, self._controller())

    def _read(
        self,
        containers: Sequence[Container],
        updated: Collection[str],
        restarts: Mapping[str, int],
        kills: Sequence[int],
    ) -> list[Samples]:
        told = self._reader.read(containers, updated)
        watched = self._reader.watched
        self._missed = told.missed
        sources = {"cgroup": len(told.rows) - told.from_engine, "engine": told.from_engine}
        return [
            *self._text.write(watched, told, restarts, kills, int(time.time())),
            *self._controller(),
            _by(of.UNREADABLE, "reason", told.unreadable),
            _by(of.SOURCE, "source", sources),
        ]

    def _controller(self) -> list[Samples]:
        available = self._tree.memory_available()
        return [] if available is None else [of.MEMORY_AVAILABLE.one(int(available))]


class ContainersText:
    """Writes what a scrape has read; keeps all that has not changed since the last one."""

    def __init__(self) -> None:
        self._fixed = FixedText()
        self._usage = UsageText()
        self._restarts = CountedText(of.RESTARTS)
        self._oom = CountedText(of.OOM_EVENTS)
        self._seen = CountedText(of.LAST_SEEN)
        self._kills = Kills()

    def write(
        self,
        watched: Sequence[Watched],
        told: Told,
        restarts: Mapping[str, int],
        kills: Sequence[int],
        now: int,
    ) -> list[Samples]:
        """``restarts`` by name; ``kills`` that events have told, in the order of ``watched``; ``now`` in Unix seconds."""
        seen: list[Mapping[str, str]] = [row.labels for row in told.rows]
        labels = [one.labels for one in watched]
        names = distinct_names([one.container for one in watched])
        totals = [
            self._kills.total(one.container, events, one.kernel_kills)
            for one, events in zip(watched, kills, strict=True)
        ]
        self._kills.keep(one.container.id for one in watched)
        return [
            *self._fixed.write([Fixed(one.container, one.labels, one.limits) for one in watched]),
            self._restarts.write([{"name": name} for name in names], [restarts[n] for n in names]),
            self._oom.write(labels, totals),
            self._seen.write(seen, [row.seen_at or now for row in told.rows]),
            *self._usage.write(told.rows),
        ]


def _by(family: Family, label: str, counts: Mapping[str, int]) -> Samples:
    lines = (family.series(**{label: key}) + b"%d\n" % count for key, count in counts.items())
    return Samples(family, b"".join(lines))
