"""The real node_exporter, Debian's 1.9, with the collectors that the host collector stands beside."""

from __future__ import annotations

from pathlib import Path

from exporter.host.mounts import NOT_OURS, NOT_STORAGE
from exporter.host.network import OF_CONTAINERS
from tests.real import debian, processes
from tests.real.daemons import SUITE
from tests.real.processes import Process, fetch, free_port, wait_for

PACKAGE = "prometheus-node-exporter"
COLLECTORS = (
    *("cpu", "meminfo", "filesystem", "diskstats", "netdev", "loadavg", "stat", "uname", "time"),
    *("vmstat", "pressure", "thermal_zone", "filefd"),
)


def program() -> Path:
    """Unpack it (once for a checkout). Raises DebianError."""
    return debian.unpack(SUITE, PACKAGE) / "usr/bin" / PACKAGE


class NodeExporter:
    """On a free loopback port; it leaves out the same mounts and links as we do."""

    def __init__(self, directory: Path) -> None:
        """Raises DebianError."""
        self.program = program()
        self.log = directory / "node_exporter.log"
        self.port = free_port()
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """Raises AssertionError when it does not run."""
        assert self._process is not None, "node_exporter is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers. Raises AssertionError with its log when it does not."""
        links = "|".join(name.decode() for name in OF_CONTAINERS)
        self._process = processes.spawn(
            [
                self.program,
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.disable-exporter-metrics",
                "--collector.disable-defaults",
                *(f"--collector.{name}" for name in COLLECTORS),
                f"--collector.filesystem.mount-points-exclude=^(?:{NOT_OURS.pattern})",
                f"--collector.filesystem.fs-types-exclude=^(?:{NOT_STORAGE.pattern})$",
                f"--collector.netdev.device-exclude=^(?:{links})",
            ],
            self.log,
        )
        wait_for(self.scrape, "node_exporter", process=self._process)

    def scrape(self) -> str:
        """Its exposition. Raises OSError when it does not answer."""
        status, body = fetch(f"http://127.0.0.1:{self.port}/metrics", timeout=30.0)
        return body.decode() if status == 200 else ""

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None
