"""The collectors. A new one is a file here and a line in COLLECTORS."""

from __future__ import annotations

from collections.abc import Callable

from exporter.collectors.access_log import AccessLogCollector
from exporter.collectors.container_sizes import ContainerSizesCollector
from exporter.collectors.containers import ContainersCollector
from exporter.collectors.host import HostCollector
from exporter.collectors.probes import ProbesCollector
from exporter.collectors.versions import VersionsCollector
from exporter.context import Context
from exporter.scrape import Collector

COLLECTORS: tuple[Callable[[Context], Collector], ...] = (
    ProbesCollector,
    AccessLogCollector,
    ContainersCollector,
    ContainerSizesCollector,
    HostCollector,
    VersionsCollector,
)
