"""The evidence from a real Engine: its log, its inspection, and what it remembers of a container's ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from receiver.actions.investigate import Investigate
from receiver.evidence import compose
from receiver.records import Step
from receiver.settings import ReceiverSettings
from target.engine import Engine
from tests.parts.exporter_app import App
from tests.real.processes import wait_for

pytestmark = pytest.mark.engine


async def test_a_container_that_ends_again_and_again(app: App, tmp_path: Path) -> None:
    script = (
        "echo \"2026 INFO starting password=$DB_PASSWORD\"; echo 'panic: no way on' >&2; exit 3"
    )
    options = (
        "--restart",
        "on-failure:2",
        "--env",
        "DB_PASSWORD=hunter2-S3cr3t",
        "--memory",
        "64m",
    )
    await app.start(script, *options)
    engine = Engine(app.engine.host)
    wait_for(lambda: engine.container(app.name).restart_count == 2, "two restarts")
    wait_for(lambda: engine.container(app.name).state == "exited", "its last end")
    values = {"APP_SERVICE": app.name, "APP_CONTAINERS": f"{app.name}.*", "STATE_DIR": tmp_path}
    action = Investigate(ReceiverSettings.model_validate(values), engine)
    now = datetime.now(UTC) + timedelta(seconds=1)
    step = Step(1, 1, "investigate", app.name, "Crash", "running", "", now, "", now, None)
    gathered = action._collect(step, now)
    assert not gathered.problems
    found = compose(gathered)
    assert found.summary == "exit code 3, restarted 2 times by its policy"
    assert found.body.count("exit code 3") >= 4, (
        "three ends, as the Engine's events tell, and the last"
    )
    assert found.body.count("E panic: no way on") == 3
    assert found.body.count("O 2026 INFO starting password=[redacted]") == 3
    assert "hunter2" not in found.body
    assert "memory limit: 64 MiB" in found.body
    assert "DB_PASSWORD" in found.body
