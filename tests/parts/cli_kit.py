"""The command line with settings of its own: in this process, or as a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog
from click.testing import CliRunner

from receiver.store import incidents, messages
from receiver.store.database import connect, migrate
from sermon_monitor.cli import main
from tests.parts.exporter_kit import NOWHERE
from tests.real.product import COMMAND

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@contextmanager
def logging_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


class Command:
    """``sermon-monitor`` with settings of its own and nothing around it."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "state"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "COLUMNS": "300",
            "APP_URL": NOWHERE,
            "MINIO_URL": NOWHERE,
            "DOCKER_HOST": f"unix://{directory}/no.sock",
            "STATE_DIR": str(self.state),
        }

    def __call__(self, *arguments: str | Path) -> Answer:
        """In this process, which is much less to wait for; logging is put back afterwards."""
        environment = {**dict.fromkeys(os.environ), **self.environment}
        with logging_put_back():
            done = CliRunner(env=environment).invoke(main, [str(one) for one in arguments])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Answer(done.exit_code, done.stdout_bytes.decode(), done.stderr_bytes.decode())

    def process(self, *arguments: str | Path) -> Answer:
        """As it is typed."""
        done = subprocess.run(
            [COMMAND, *arguments],
            capture_output=True,
            env=self.environment,
            timeout=120,
            check=False,
        )
        answer = Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in answer.err, answer.err
        return answer

    def store(self, name: str) -> None:
        """An open incident with one alert of this name."""
        connection = connect(self.state / "receiver.sqlite3")
        migrate(connection)
        number = incidents.open_incident(connection, f"service {name}", "critical", NOW)
        labels, annotations = {"alertname": name}, {"summary": f"summary {name}"}
        alert = incidents.NewAlert(number, "f", name, "critical", labels, annotations, NOW)
        incidents.add_alerts(connection, [alert], NOW)
        incidents.set_verdict(connection, number, f"verdict {name}")
        messages.add_event(connection, number, "open", name, NOW)
        connection.close()
