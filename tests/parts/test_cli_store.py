"""The command line before a store that is none, a directory that is closed, and a pipe that has no width."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC
from pathlib import Path

import pytest

from sermon_monitor import shown
from tests.parts.cli_kit import NOW, Command
from tests.parts.exporter_kit import NOWHERE


@pytest.fixture
def monitor(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.mark.parametrize("foreign", [b"", b"other"], ids=["empty", "another program's"])
def test_a_store_that_is_none_of_ours(monitor: Command, foreign: bytes) -> None:
    monitor.state.mkdir()
    path = monitor.state / "receiver.sqlite3"
    path.touch()
    if foreign:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE other (x)")
        connection.close()
    for words in (("incidents",), ("explain", "ServiceDown")):
        answer = monitor(*words)
        assert (answer.code, answer.err.count("\n")) == (1, 1)
        assert f"{path}: not a store of sermon-monitor" in answer.err
    (store,) = [f for f in json.loads(monitor("check", "--json").out) if f["what"] == "store"]
    assert store["level"] == "problem"


def test_a_state_directory_that_cannot_be_looked_into(monitor: Command) -> None:
    monitor.environment["STATE_DIR"] = "/" + "x" * 300  # fails for root too
    for words in (("incidents",), ("explain", "ServiceDown")):
        answer = monitor(*words)
        assert (answer.code, answer.err.count("\n")) == (1, 1)
        assert "name too long; STATE_DIR says" in answer.err
    told = monitor("check", "--json")
    assert told.code == 1
    (store,) = [f for f in json.loads(told.out) if f["what"] == "store"]
    assert (store["level"], "name too long" in store["words"]) == ("problem", True)


def test_a_pipe_gets_whole_lines(monitor: Command) -> None:
    del monitor.environment["COLUMNS"]
    monitor.environment["APP_URL"] = f"{NOWHERE}/{'x' * 200}"
    assert "x" * 200 in monitor("check").out
    monitor.store("A" * 200)
    assert f"verdict {'A' * 200}\n" in monitor("incidents").out


def test_an_alert_without_a_summary_has_no_colon(capsys: pytest.CaptureFixture[str]) -> None:
    alert = {"name": "Foreign", "firing": True, "repeats": 0, "annotations": {}}
    incident = {
        "id": 1,
        "state": "open",
        "service": "a",
        "severity": "info",
        "opened_at": NOW,
        "alerts": [alert],
        "steps": [],
        "events": [],
        "evidence": [],
        "verdict": "",
    }
    shown.incidents([incident], UTC, as_json=False)
    assert "  fires Foreign\n" in capsys.readouterr().out
