"""This process: its version, its own counters, process_* and python_*."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily

from exporter.exposition import Samples, from_metrics
from exporter.scrape import Reading


class ProcessesOwnCollector:
    """What is registered in ``registry``, whoever registered it."""

    name = "process"

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

    async def run(self) -> None:
        return None

    def begin(self) -> Reading:
        # Read in the thread: what others registered may read files or a database.
        return self._read

    def _read(self) -> Sequence[Samples]:
        info = GaugeMetricFamily(
            "sermon_monitor_build_info", "The version of Sermon Monitor.", labels=["version"]
        )
        info.add_metric([own_version()], 1)
        return from_metrics([info, *self._registry.collect()])


def own_version() -> str:
    """The installed package's version; ``unknown`` when it runs from a bare checkout."""
    try:
        return version("sermon-monitor")
    except PackageNotFoundError:
        return "unknown"
