"""``explain`` and ``replay`` over the whole shipped table, and of what has begun already."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.deciding import gates
from receiver.deciding.decision import asked
from receiver.deciding.policy import Row
from receiver.hearing.alertmanager import parse_webhook
from receiver.store import steps
from receiver.store.database import connect, migrate
from sermon_monitor import shown
from sermon_monitor.explain import explain, replay
from sermon_monitor.settings import Settings
from tests.parts.exporter_kit import NOWHERE
from tests.parts.intake_kit import INTAKE, SHIPPED, Story, alert, body_of

GATES_OF = {"person": 2, "investigate": 0}
"""Every other action has them all; who only looks needs none."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "APP_URL": NOWHERE,
            "MINIO_URL": NOWHERE,
            "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
            "STATE_DIR": tmp_path / "state",
        }
    )


@contextmanager
def story(settings: Settings) -> Iterator[Story]:
    """What the store remembers, told at the present moment."""
    connection = connect(settings.database_path)
    migrate(connection)
    told = Story(connection)
    told.clock.moment = datetime.now(UTC)
    yield told
    connection.close()


def labels_of(row: Row) -> dict[str, str]:
    """As its alert would come: the containers' rows are about one of them."""
    return {**row.match, **({"name": "sermon-uploader"} if row.category == "container" else {})}


def printed(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    shown.explanation(told, as_json=False)
    return capsys.readouterr().out


def check_steps(told: dict[str, Any], row: Row) -> None:
    """Each step that the row asks for is told with its time and the verdict of all its gates."""
    wanted = asked(row, told["labels"], INTAKE.minio_service)
    found = {(s["action"], s["target"]): s for s in told["steps"]}
    assert found.keys() == wanted.keys(), row.alert
    for key, step in found.items():
        assert len(step["gates"]) == GATES_OF.get(step["action"], len(gates.GATES)), (
            row.alert,
            key,
        )
        assert step["verdict"]["reason"], (row.alert, key)
        assert all(verdict["reason"] for verdict in step["gates"] if verdict["gate"])
        assert step["verdict"]["outcome"] in gates.OUTCOMES
        assert step["after"] == wanted[key].after.total_seconds()


async def test_every_row_of_the_shipped_table_is_explained(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(SHIPPED.alerts) > 20
    for row in SHIPPED.alerts:
        told = await explain(settings, row.alert, labels_of(row))
        assert (told["decision"], told["begun"]) == ("open", []), row.alert
        assert told["row"] == row.model_dump(mode="json")
        check_steps(told, row)
        text = printed(told, capsys)
        assert text.startswith(f"{row.alert} (firing): open: ")
        assert f"severity {row.severity}, category {row.category}" in text
        assert ("no steps" in text) is (not told["steps"])
    assert not settings.state_dir.exists(), "explain changed something"


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
async def test_an_alert_that_no_row_knows_is_explained(settings: Settings, severity: str) -> None:
    told = await explain(settings, "NobodyKnowsIt", {"severity": severity})
    row = SHIPPED.row({"alertname": "NobodyKnowsIt"}, told["row"]["severity"])
    assert told["row"] == row.model_dump(mode="json")
    assert (told["row"]["severity"], told["steps"], told["begun"]) == (severity, [], [])


async def test_the_watchdog_has_no_row(settings: Settings) -> None:
    told = await explain(settings, SHIPPED.heartbeat[0], {})
    assert (told["decision"], told["row"], told["steps"]) == ("heartbeat", None, [])


def restarted(c: sqlite3.Connection, now: datetime) -> None:
    """The restart has been made, the rest waits."""
    (restart,) = [s for s in steps.steps(c, 1) if s.action == "restart"]
    steps.claim_step(c, restart.id, "", {}, now)
    steps.end_step(c, restart.id, "done", "restarted [red]it[/]", now)


@pytest.mark.parametrize(("labels", "kind"), [({}, "repeat"), ({"instance": "b"}, "join")])
async def test_what_goes_on_already_is_told_with_what_has_begun(
    settings: Settings, capsys: pytest.CaptureFixture[str], labels: dict[str, str], kind: str
) -> None:
    with story(settings) as it:
        it.fires("ServiceDown", cause="app")
        restarted(it.c, it.clock.now())
    down = body_of(alert("ServiceDown", "firing", cause="app", **labels))
    (told,) = await replay(settings, parse_webhook(json.dumps(down).encode()))
    assert (told["decision"], told["row"]["alert"]) == (kind, "ServiceDown")
    assert [s["action"] for s in told["steps"]] == ["rollback", "person"]
    assert all(s["gates"] for s in told["steps"])
    (begun,) = told["begun"]
    assert (begun["action"], begun["target"], begun["state"]) == ("restart", "app", "done")
    text = printed(told, capsys)
    assert "restart app is done already: restarted [red]it[/]" in text
    assert "no steps" not in text


async def test_what_ends_asks_for_nothing(settings: Settings) -> None:
    with story(settings) as it:
        it.fires("ServiceDown", cause="app")
    over = body_of(alert("ServiceDown", "resolved", cause="app"))
    (told,) = await replay(settings, parse_webhook(json.dumps(over).encode()))
    assert (told["decision"], told["steps"], told["begun"]) == ("end", [], [])
