"""The machine, by node_exporter's names and meanings: every area of exporter/host."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from exporter.context import Context
from exporter.exposition import Samples
from exporter.host.areas import areas
from exporter.scrape import CollectorError, Reading

log = structlog.get_logger(__name__)


class HostCollector:
    """Tells what can be read. What cannot is a failure, unless a kernel may lack it: then it is said once."""

    name = "host"

    def __init__(self, context: Context) -> None:
        self._areas = areas(context.settings.proc_root, context.settings.rootfs)
        self._lacking: set[str] = set()

    async def run(self) -> None:
        return None

    def begin(self) -> Reading:
        return self._read

    def _read(self) -> Sequence[Samples]:
        samples: list[Samples] = []
        problems: list[str] = []
        for area in self._areas:
            try:
                samples += area.read()
            except (OSError, ValueError) as error:
                if area.optional:
                    self._lack(area.name, error)
                else:
                    problems.append(f"{area.name}: {error}"[:200])
        if problems:
            raise CollectorError("; ".join(problems), samples)
        return samples

    def _lack(self, name: str, error: Exception) -> None:
        if name not in self._lacking:
            self._lacking.add(name)
            log.info("the host does not tell everything", area=name, reason=str(error)[:200])
