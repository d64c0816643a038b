"""The deployment's containers: cAdvisor's figures, and what cAdvisor cannot say of stopped ones."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from exporter.cgroups import REASONS, CgroupError, Cgroups, Usage
from exporter.container_families import Families
from exporter.context import Context
from exporter.exposition import Samples, from_metrics
from exporter.procfs import parse_net_dev
from exporter.restarts import Restarts
from exporter.scrape import CollectorError, Reading
from target.engine import Container
from target.engine_stream import Event

_NOT_COUNTED = ("lo", "veth", "docker", "nerdctl")
"""Interfaces that cAdvisor leaves out, by their beginning."""

log = structlog.get_logger(__name__)


class ContainersCollector:
    """States come from discovery, usage from the control groups' own files: no Engine call in a scrape."""

    name = "containers"

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._discovery = context.discovery
        self._proc = settings.proc_root
        self._cgroups = Cgroups(settings.cgroup_root, settings.proc_root)
        self._restarts = Restarts()
        self._paths: dict[str, str] = {}
        self._refused: set[str] = set()
        context.discovery.on_event(self._event)

    async def run(self) -> None:
        """Count restarts as they happen; a scrape would miss those in between."""
        seen = -1
        while True:
            seen = await self._discovery.wait_change(seen)
            if self._discovery.connected:
                self._restarts.observe(self._discovery.watched())

    def _event(self, event: Event) -> None:
        if event.action == "oom":
            self._restarts.killed(event.container_id)

    def begin(self) -> Reading:
        """Nothing of a container is said while the Engine cannot be asked: it may be long gone."""
        if not self._discovery.connected:
            raise CollectorError(self._discovery.error, from_metrics([self._controller()]))
        watched = self._discovery.watched()
        return lambda: self._read(watched)

    def _read(self, watched: Sequence[Container]) -> list[Samples]:
        families = Families()
        unreadable = dict.fromkeys(REASONS, 0)
        for container in watched:
            usage = None
            if container.pid and container.state in ("running", "paused"):
                try:
                    usage = self._cgroups.read(container.pid, container.id)
                    self._paths[container.id] = usage.path
                except CgroupError as error:
                    unreadable[error.reason] += 1
                    self._say(container, error)
            self._add(families, container, usage)
        self._paths = {one.id: self._paths[one.id] for one in watched if one.id in self._paths}
        return from_metrics([*families.all(), self._controller(), _unreadable(unreadable)])

    def _add(self, families: Families, container: Container, usage: Usage | None) -> None:
        path = self._paths.get(container.id, f"/docker/{container.id}")
        labels = [path, container.image, container.name]
        families.state(labels, container)
        families.counted(
            labels,
            restarts=self._restarts.restarts(container.name),
            kills=self._restarts.kills(container.id),
        )
        if usage is not None:
            families.usage(labels, usage)
            families.network(labels, _network(self._proc, container.pid))
            families.seen(labels, time.time())

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

    def _controller(self) -> Metric:
        return GaugeMetricFamily(
            "sermon_monitor_memory_controller_available",
            "Whether the kernel accounts memory by container (1); where not (0) there are no container_memory_* metrics and memory limits are not enforced.",
            value=float(self._cgroups.memory_available()),
        )


def _network(proc: Path, pid: int) -> Iterable[tuple[str, dict[str, int]]]:
    try:
        interfaces = parse_net_dev((proc / str(pid) / "net/dev").read_bytes())
    except OSError:
        return []  # it has just ended
    return [item for item in interfaces.items() if not item[0].startswith(_NOT_COUNTED)]


def _unreadable(counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(
        "sermon_monitor_containers_unreadable",
        "Running containers whose control group could not be read, by reason.",
        labels=["reason"],
    )
    for reason, count in counts.items():
        family.add_metric([reason], count)
    return family
