"""This process: its version, its own counters, process_* and python_*."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily

from exporter.scrape import CollectorError
from target.blocking import BlockedError, Blocking

READ_SECONDS = 5.0


class ProcessesOwnCollector:
    """What is registered in ``registry``, whoever registered it."""

    name = "process"

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._reading: Blocking[list[Metric]] = Blocking("process")
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    async def run(self) -> None:
        return None

    async def collect(self) -> Sequence[Metric]:
        info = GaugeMetricFamily(
            "sermon_monitor_build_info", "The version of Sermon Monitor.", labels=["version"]
        )
        info.add_metric([own_version()], 1)
        try:
            # In a thread: what others registered may read files or a database.
            own = await self._reading.run(lambda: list(self._registry.collect()), READ_SECONDS)
        except BlockedError as error:
            raise CollectorError(str(error), [info]) from error
        return [info, *own]


def own_version() -> str:
    """The installed package's version; ``unknown`` when it runs from a bare checkout."""
    try:
        return version("sermon-monitor")
    except PackageNotFoundError:
        return "unknown"
