"""Requests, errors, times and uploads, from the application's log read through the Engine."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client.core import GaugeMetricFamily

from exporter.access_log import parse_line
from exporter.context import Context
from exporter.exposition import from_metrics
from exporter.log_follower import LogFollower
from exporter.log_lines import Line
from exporter.scrape import CollectorError, Reading, known
from exporter.traffic import Traffic
from target.engine import Container
from target.roles import app_containers


class AccessLogCollector:
    """Follows the application's containers; its counters go on over their deaths and recreations."""

    name = "access_log"

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._discovery = context.discovery
        self._traffic = Traffic()
        self._follower = LogFollower(context.discovery, self._choose, self._take)

    async def run(self) -> None:
        await self._follower.run()

    def begin(self) -> Reading:
        """The counters; with a failure where a log cannot be read, for then they stand still."""
        streams = GaugeMetricFamily(
            "sermon_monitor_log_streams",
            "Logs of application containers that are open for reading.",
            value=sum(one.open for one in self._follower.followed),
        )
        samples = from_metrics([*self._traffic.families(), streams])
        if not self._discovery.connected:
            raise CollectorError(f"no log can be read: {self._discovery.error}", samples)
        problems = [one.problem for one in self._follower.followed if one.problem]
        if problems:
            raise CollectorError(problems[0], samples)
        return known(samples)

    def _choose(self) -> Sequence[Container]:
        chosen = app_containers(self._discovery.watched(), self._settings)
        self._traffic.forget({one.id for one in chosen})
        return chosen

    def _take(self, container_id: str, line: Line) -> None:
        self._traffic.add(container_id, parse_line(line.body, line.stream))
