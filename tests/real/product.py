"""The product as its users start it: the installed ``sermon-monitor`` as a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.real import secrecy
from tests.real.processes import Process, fetch, free_port, run, spawn, wait_for

COMMAND = Path(sys.executable).parent / "sermon-monitor"


class Product:
    """One process with its own state; it can be killed and started again over the same state."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        """``settings`` beside the listening addresses and STATE_DIR, which are chosen here."""
        self.directory = directory
        self.state = directory / "state"
        self.log_file = directory / "monitor.log"
        self._ports = free_port(), free_port()
        ours = {
            "EXPORTER_LISTEN": f"127.0.0.1:{self._ports[0]}",
            "RECEIVER_LISTEN": f"127.0.0.1:{self._ports[1]}",
            "STATE_DIR": str(self.state),
        }
        # Nothing of the environment's own settings may reach it, but for what any program needs.
        base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {**base, **ours, **settings}
        self.process: Process | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def metrics_address(self) -> str:
        return self.environment["EXPORTER_LISTEN"]

    @property
    def url(self) -> str:
        """Of the receiver."""
        return f"http://{self.environment['RECEIVER_LISTEN']}"

    def start(self) -> None:
        """Start and wait until it is ready. Raises AssertionError with its log when it does not come up."""
        self.process = spawn([COMMAND, "serve"], self.log_file, env=self.environment)
        wait_for(
            lambda: fetch(f"{self.url}/readyz")[0] == 200, "sermon-monitor", process=self.process
        )
        wait_for(
            lambda: fetch(f"http://{self.metrics_address}/healthz")[0] == 200,
            "/metrics",
            process=self.process,
        )

    def kill(self) -> None:
        """SIGKILL."""
        assert self.process is not None
        self.process.kill()

    def stop(self) -> int:
        """SIGTERM; its exit code. Raises AssertionError where its log or its state shows one of its secrets."""
        if self.process is None:
            return 0
        self.process.stop(grace_seconds=30)
        assert secrecy.shown(self.environment, secrecy.left(self.log_file, self.state)) == {}
        return self.process.popen.returncode

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def command(self, *arguments: str) -> str:
        """Run a verb of the command line beside the process; its stdout. Raises AssertionError when it fails."""
        return run([COMMAND, *arguments], env=self.environment)

    def incidents(self) -> list[dict[str, Any]]:
        """What ``sermon-monitor incidents --json`` tells."""
        found: list[dict[str, Any]] = json.loads(self.command("incidents", "--json"))["incidents"]
        return found

    def metrics(self) -> str:
        status, body = fetch(f"http://{self.metrics_address}/metrics", timeout=15)
        assert status == 200, body
        return body.decode()

    def post(self, body: bytes) -> tuple[int, bytes]:
        """POST /alerts as Alertmanager does."""
        return fetch(f"{self.url}/alerts", "POST", body, timeout=30)
