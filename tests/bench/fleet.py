"""Idle busybox containers on a real Docker Engine of our own: the deployment that is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.bench.kernel import family
from tests.real import debian
from tests.real.engine import DockerEngine
from tests.real.processes import run

IMAGE = "busybox:bench"
NETWORK = "bench"
PREFIX = "sermon-uploader-bench"


class Fleet:
    """``grow`` adds containers until there are so many; ``pids`` are the Engine's own."""

    def __init__(self, engine: DockerEngine, directory: Path) -> None:
        self.engine = engine
        self.directory = directory
        self.count = 0
        run(
            [
                *("docker", "import", "--change", 'CMD ["/bin/sleep", "infinity"]'),
                *(_busybox(directory), IMAGE),
            ],
            env=engine.environment(),
        )
        engine.docker("network", "create", NETWORK)

    def grow(self, count: int) -> None:
        """Each container has a network of its own interface, a limit of CPU and one of memory."""
        with ThreadPoolExecutor(4) as several:
            list(several.map(self._start, range(self.count, count)))
        self.count = max(self.count, count)

    def remove(self) -> None:
        """All of it, several at a time: the Engine's own stop takes one after the other."""
        with ThreadPoolExecutor(4) as several:
            list(several.map(self._remove, range(self.count)))
        self.count = 0

    def engine_pids(self) -> list[int]:
        """dockerd and containerd; not the shims and what runs in the containers."""
        daemon = int((self.engine.directory / "docker.pid").read_text())
        return [pid for pid in family(daemon) if _program(pid) in ("dockerd", "containerd")]

    def _start(self, number: int) -> None:
        self.engine.docker(
            *("run", "--detach", "--network", NETWORK, "--name", f"{PREFIX}-{number}"),
            *("--memory", "64m", "--cpus", "0.5", IMAGE),
        )

    def _remove(self, number: int) -> None:
        self.engine.docker("rm", "--force", f"{PREFIX}-{number}")


@contextmanager
def fleet() -> Iterator[Fleet]:
    """Raises DebianError where no Engine can be had."""
    with tempfile.TemporaryDirectory(prefix="sermon-") as directory:
        engine = DockerEngine(Path(directory))
        try:
            engine.start()
            made = Fleet(engine, Path(directory))
            yield made
            made.remove()
        finally:
            engine.stop()


def _program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _busybox(directory: Path) -> Path:
    """A root filesystem with a static busybox and nothing else."""
    unpacked = debian.unpack("bookworm", "busybox-static")
    root = directory / "busybox"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "busybox").write_bytes((unpacked / "bin" / "busybox").read_bytes())
    (root / "bin" / "busybox").chmod(0o755)
    for name in ("sh", "sleep", "echo", "seq"):
        (root / "bin" / name).symlink_to("busybox")
    made = directory / "busybox.tar"
    run(["tar", "--create", "--file", made, "--directory", root, "."])
    return made
