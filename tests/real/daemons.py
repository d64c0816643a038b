"""Prometheus and Alertmanager as processes on free loopback ports: Debian's real ones, 2.53 and 0.28."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.real import debian, processes
from tests.real.processes import Process, fetch, free_port, wait_for

SUITE = "trixie"
OLDER, NEWEST = "bookworm", "sid"
"""Suites with another Alertmanager: 0.25, and whatever is newest today."""
PACKAGES = ("prometheus", "promtool", "prometheus-alertmanager")

_WITH_SHARED_FILES = """\
#!/bin/sh
# Debian's build reads its default templates from /usr/share, where upstream's embeds them. This shows
# them to this one process, in a mount namespace of its own; the machine's /usr/share stays as it is.
tree={tree}
[ "$(id -u)" = 0 ] || may=--map-root-user
exec unshare --mount ${{may:-}} sh -c '
    back=$PWD && cd "$1" && mount -t overlay overlay -o ro,lowerdir=usr/share:/usr/share /usr/share &&
    cd "$back" && shift && exec "$@"' _ "$tree" "$tree/usr/bin/{program}" "$@"
"""


@dataclass(frozen=True)
class Binaries:
    """Paths of the real programs."""

    prometheus: Path
    promtool: Path
    alertmanager: Path
    amtool: Path


def binaries() -> Binaries:
    """Unpack them (once for a checkout) and say where they are. Raises DebianError."""
    tree = debian.unpack(SUITE, *PACKAGES)
    programs = tree / "usr" / "bin"
    return Binaries(
        prometheus=programs / "prometheus",
        promtool=programs / "promtool",
        alertmanager=_with_shared_files(tree, "prometheus-alertmanager", "alertmanager"),
        amtool=_with_shared_files(tree, "amtool", "amtool"),
    )


def alertmanager_of(suite: str) -> Path:
    """The Alertmanager of another suite. Raises DebianError."""
    tree = debian.unpack(suite, "prometheus-alertmanager")
    return _with_shared_files(tree, "prometheus-alertmanager", "alertmanager")


def _with_shared_files(tree: Path, program: str, name: str) -> Path:
    front = tree.parent / "bin" / name
    front.parent.mkdir(exist_ok=True)
    text = _WITH_SHARED_FILES.format(tree=shlex.quote(str(tree)), program=program)
    if not front.exists() or front.read_text() != text:  # another session may be running it
        front.write_text(text)
        front.chmod(0o755)
    return front


class Daemon(ABC):
    """One of the two: a configuration, a port, a process."""

    name: str

    def __init__(
        self,
        program: Path,
        directory: Path,
        config_text: str,
        files: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
    ) -> None:
        """Writes ``config_text`` and ``files`` (name to text; the configuration finds them beside it) into ``directory``."""
        self.program = program
        self.directory = directory
        self.flags = tuple(flags)
        self.port = free_port()
        self.config_file = directory / f"{self.name}.yml"
        self.log_file = directory / f"{self.name}.log"
        self._process: Process | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self.write(config_text, files)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> Process:
        """The running process. Raises AssertionError when there is none."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process

    def write(self, config_text: str, files: Mapping[str, str] | None = None) -> None:
        """Write the configuration anew; reload() makes a running daemon read it."""
        self.config_file.write_text(config_text)
        for file_name, text in (files or {}).items():
            (self.directory / file_name).write_text(text)

    def start(self) -> None:
        """Start and wait until it is ready. Raises AssertionError with its log when it does not come up."""
        self._process = processes.spawn(
            [self.program, *self._flags(), *self.flags], self.log_file, cwd=self.directory
        )
        wait_for(self.ready, self.name, process=self._process)

    def ready(self) -> bool:
        return fetch(f"{self.url}/-/ready")[0] == 200

    def reload(self) -> None:
        """Make it read its files again. Raises AssertionError with its words when it refuses them."""
        status, body = fetch(f"{self.url}/-/reload", "POST")
        assert status == 200, f"{self.name} refuses its new configuration: {body.decode()}"

    def stop(self, grace_seconds: float = 5.0) -> None:
        """End it; its data stay, so that start() goes on with them. Nothing when it does not run.

        A clustered Alertmanager takes about 10 s to leave: after ``grace_seconds`` it is killed.
        """
        if self._process is not None:
            self._process.stop(grace_seconds)
            self._process = None

    @abstractmethod
    def _flags(self) -> list[str]: ...


class Prometheus(Daemon):
    """``config_text`` is prometheus.yml; rule files go into ``files``."""

    name = "prometheus"

    def _flags(self) -> list[str]:
        return [
            f"--config.file={self.config_file}",
            f"--storage.tsdb.path={self.directory / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle",
        ]


class Alertmanager(Daemon):
    """Stands alone, or in a cluster: ``clustered`` waits for peers, ``peer`` joins one that is clustered."""

    name = "alertmanager"

    def __init__(
        self,
        program: Path,
        directory: Path,
        config_text: str,
        files: Mapping[str, str] | None = None,
        flags: Sequence[str] = (),
        *,
        peer: Alertmanager | None = None,
        clustered: bool = False,
    ) -> None:
        self.peer = peer
        self.cluster_port = free_port() if clustered or peer else None
        super().__init__(program, directory, config_text, files, flags)

    def _flags(self) -> list[str]:
        return [
            f"--config.file={self.config_file}",
            f"--storage.path={self.directory / 'alertmanager-data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *self._cluster_flags(),
        ]

    def _cluster_flags(self) -> list[str]:
        if self.cluster_port is None:
            return ["--cluster.listen-address="]
        own = f"127.0.0.1:{self.cluster_port}"
        flags = [f"--cluster.listen-address={own}", f"--cluster.advertise-address={own}"]
        if self.peer:
            flags.append(f"--cluster.peer=127.0.0.1:{self.peer.cluster_port}")
        return flags
