"""A real S3 server of the tests' own: SeaweedFS, from its wheel. MinIO's own cannot be had as a package."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from minio import Minio

from tests.real.processes import Process, free_port, spawn, wait_for

USER, PASSWORD = "tests-user", "tests-password"
_PORTS = ("-s3.port", "-filer.port", "-master.port", "-volume.port")


class Storage:
    """Started by ``start``; ``client`` is MinIO's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = Minio(f"127.0.0.1:{self.port}", USER, PASSWORD, secure=False)
        self.process: Process | None = None
        self._inner: list[str] = []
        """The ports at which its parts talk with each other."""

    def start(self) -> None:
        """Raises AssertionError where it does not come up."""
        (self._directory / "s3.json").write_text(identities())
        (self._directory / "data").mkdir()
        words = command(self._directory, self.port)
        self._inner = [str(w).partition(".grpc=")[2] for w in words if ".grpc=" in str(w)]
        # Its sockets are named from there: an address of one may not be long.
        self.process = spawn(words, self._directory / "log", cwd=self._directory)
        wait_for(self._ready, "the S3 server", within=60, process=self.process)

    def stop(self) -> None:
        """At once: asked to end it takes its time, and nobody wants what it holds. Its sockets go with it."""
        if self.process is not None:
            self.process.kill()
        for port in self._inner:
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                socket.unlink(missing_ok=True)

    def _ready(self) -> bool:
        try:
            if not self.client.bucket_exists("ready"):
                self.client.make_bucket("ready")
            self.client.remove_bucket("ready")
        except Exception:  # noqa: BLE001 - whatever it is that does not answer yet
            return False
        return True


def identities() -> str:
    """What ``command`` reads as s3.json."""
    credentials = {"accessKey": USER, "secretKey": PASSWORD}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    one = {"name": "tests", "credentials": [credentials], "actions": actions}
    return json.dumps({"identities": [one]})


def command(directory: Path, port: int) -> list[str | Path]:
    """The server's command line; s3.json and the directory data are in ``directory``."""
    words: list[str | Path] = [
        Path(sys.executable).with_name("weed"),
        "-logtostderr",
        "server",
        "-s3",
    ]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    words += [f"-dir={directory / 'data'}", f"-s3.config={directory / 's3.json'}"]
    words += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    words += ["-volume.max=50", "-master.volumeSizeLimitMB=1024"]
    words += ["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
    for name in _PORTS:
        words += [f"{name}={port if name == '-s3.port' else free_port()}"]
        words += [f"{name}.grpc={free_port()}"]
    return words
