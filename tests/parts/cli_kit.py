"""The command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from receiver.store import incidents, messages
from receiver.store.database import connect, migrate
from tests.parts.exporter_kit import NOWHERE
from tests.real.product import COMMAND

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


class Answer(NamedTuple):
    code: int
    out: str
    err: str


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
