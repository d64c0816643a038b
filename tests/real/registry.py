"""A real image registry (Debian's docker-registry, the distribution project's) on the loopback.

dockerd speaks plain HTTP to registries of 127.0.0.0/8 without being told (docs.docker.com, dockerd,
"Insecure registries").
"""

from __future__ import annotations

from pathlib import Path

from tests.real import debian, processes
from tests.real.engine import DockerEngine
from tests.real.processes import fetch, free_port, wait_for

_CONFIG = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {data}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def program() -> Path:
    """Debian's registry, fetched at the first use. Raises DebianError where it cannot be had."""
    return debian.unpack("bookworm", "docker-registry") / "usr" / "bin" / "docker-registry"


class Registry:
    """One registry with its data below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._process: processes.Process | None = None

    @property
    def host(self) -> str:
        """``127.0.0.1:PORT``, as it stands in an image reference."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start and wait until it answers. Raises DebianError where the program cannot be had."""
        config = self._directory / "registry.yml"
        config.write_text(_CONFIG.format(data=self._directory / "data", port=self._port))
        self._process = processes.spawn(
            [program(), "serve", config], self._directory / "registry.log"
        )
        wait_for(
            lambda: fetch(f"http://{self.host}/v2/")[0] == 200,
            "the registry",
            process=self._process,
        )

    def stop(self) -> None:
        """End it; a second call does nothing."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def push(self, engine: DockerEngine, image: str, name: str) -> str:
        """Push ``image`` as ``name`` (``team/app:tag``) and remove that name here; its ``…@sha256:…``."""
        reference = f"{self.host}/{name}"
        engine.docker("tag", image, reference)
        engine.docker("push", "--quiet", reference)
        digests = engine.docker(
            "image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', reference
        ).split()
        (digest,) = [d for d in digests if d.startswith(reference.rpartition(":")[0] + "@")]
        engine.docker("rmi", reference)
        return digest
