"""A real PostgreSQL, Debian's: a server of our own on a free port, that can be killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.real import debian
from tests.real.processes import Process, free_port, spawn, wait_for

PACKAGES = ("postgresql",)
PASSWORD = "planted-pg-password"
_USER = "monitor"


def programs() -> Path:
    """The directory of the newest version's. Raises DebianError where it cannot be installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        debian.install(*PACKAGES)
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent


class Postgres:
    """One server. ``safe``: with fsync, as for a crash it must be."""

    def __init__(self, directory: Path, *, safe: bool = False) -> None:
        self.directory = directory
        self.port = free_port()
        self._data = directory / "data"
        self._safe = safe
        self._process: Process | None = None
        self._bin = programs()
        directory.mkdir(parents=True, exist_ok=True)
        self._user = "postgres" if os.geteuid() == 0 else ""
        if self._user:  # the server does not run as root
            own = pwd.getpwnam(self._user)
            os.chown(directory, own.pw_uid, own.pw_gid)
        secret = directory / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "-D", str(self._data), "-U", _USER, "-A", "scram-sha-256", "--pwfile", str(secret),
            "-E", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        return f"postgresql://{_USER}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "on" if self._safe else "off",
            "shared_buffers": "16MB",
            "max_connections": 60,
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(self._data), *flags]
        self._process = spawn([*self._as(), *command], self.directory / "postgres.log")
        wait_for(self._answers, "PostgreSQL", process=self._process)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def crash(self) -> None:
        """Every process of it at once, as by a power cut; ``start`` recovers from the log."""
        assert self._process is not None
        pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)  # "immediate": nothing is written any more
        self._process.popen.wait(30)

    def stop(self) -> None:
        if self._process is not None and self._process.running:
            self.crash()

    def database(self, name: str, template: str = "template0") -> str:
        """A new one; its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
        return self.url(name)

    def _as(self) -> list[str]:
        return ["setpriv", "--reuid", self._user, "--regid", self._user, "--clear-groups"] if self._user else []  # fmt: skip

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as(), str(self._bin / program), *arguments],
            check=True,
            capture_output=True,
            cwd=self.directory,
        )


@contextmanager
def postgres(directory: Path, *, safe: bool = False) -> Iterator[Postgres]:
    """``directory`` must be one that user postgres may enter."""
    server = Postgres(directory, safe=safe)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)
