"""Requests, errors, times and uploads, from the application's log: its file where that can be read, else the Engine."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.context import Context
from exporter.exposition import Family, Samples, number
from exporter.log_follower import INTERRUPTIONS, SOURCES, LogFollower
from exporter.log_reader import counters
from exporter.scrape import CollectorError, Reading, known
from exporter.traffic import Traffic
from exporter.traffic_families import TrafficFamilies
from target.engine import Container
from target.roles import app_containers

_STREAMS = Family(
    "sermon_monitor_log_streams",
    "gauge",
    "Logs of application containers that are open for reading, by where they are read.",
)
_INTERRUPTIONS = Family(
    "sermon_monitor_log_interruptions_total", "counter", "Times that an open log broke off."
)
_LAST_LINE = Family(
    "sermon_monitor_log_last_line_timestamp_seconds",
    "gauge",
    "When the newest line that was read had been written.",
)


class AccessLogCollector:
    """Follows the application's containers; its counters go on over their deaths and recreations."""

    name = "access_log"

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._discovery = context.discovery
        self._traffic = Traffic()
        self._families = TrafficFamilies(self._traffic)
        self._counters = counters(self._traffic)
        files = context.settings.rootfs if context.settings.log_source == "auto" else None
        self._follower = LogFollower(context.discovery, self._choose, self._counters, rootfs=files)
        self._sources = {one: _STREAMS.series(source=one) for one in SOURCES}
        self._reasons = {one: _INTERRUPTIONS.series(reason=one) for one in INTERRUPTIONS}

    async def run(self) -> None:
        await self._follower.run()

    def begin(self) -> Reading:
        """The counters; with a failure where a log cannot be read, for then they stand still."""
        self._counters.settle()
        samples = [*self._families.samples(), *self._own()]
        followed = self._follower.followed
        if not self._discovery.connected and not any(one.source for one in followed):
            raise CollectorError(f"no log can be read: {self._discovery.error}", samples)
        problems = [words for one in followed if (words := one.trouble)]
        if problems:
            raise CollectorError(problems[0], samples)
        return known(samples)

    def _own(self) -> Sequence[Samples]:
        """About the reading itself."""
        sources = [one.source for one in self._follower.followed]
        streams = [b"%b%d\n" % (head, sources.count(one)) for one, head in self._sources.items()]
        broken = self._follower.interruptions
        reasons = [b"%b%d\n" % (head, broken[one]) for one, head in self._reasons.items()]
        last = self._follower.last_nano
        line = b"%b %b\n" % (_LAST_LINE.name.encode(), number(last / 1e9)) if last else b""
        return (
            Samples(_STREAMS, b"".join(streams)),
            Samples(_INTERRUPTIONS, b"".join(reasons)),
            Samples(_LAST_LINE, line),
        )

    def _choose(self) -> Sequence[Container]:
        chosen = app_containers(self._discovery.watched(), self._settings)
        self._traffic.forget({one.id for one in chosen})
        return chosen
