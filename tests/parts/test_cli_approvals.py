"""A person's yes or no from a terminal, beside a running process or without one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from receiver.approving.approvals import ask
from receiver.deciding.decision import PlannedStep
from receiver.records import Ask
from receiver.store import incidents, steps
from receiver.store.database import connect, migrate
from tests.parts.cli_kit import Command


@pytest.fixture
def monitor(tmp_path: Path) -> Command:
    return Command(tmp_path)


def put(monitor: Command, *, ttl: timedelta = timedelta(hours=12)) -> int:
    """A question; its number."""
    now = datetime.now(UTC)
    c = connect(monitor.state / "receiver.sqlite3")
    migrate(c)
    incident = incidents.open_incident(c, f"a{now.timestamp()}", "warning", now)
    steps.add_step(c, incident, PlannedStep("rollback", "app", now, ask=True), "HighResponseTime")
    what = Ask("rollback", "sha256:1", "v1 [red]", "a minute away", "HighResponseTime fires")
    one = ask(c, steps.steps(c, incident)[0], what, ttl, now)
    c.close()
    assert one is not None
    return one.id


def listed(monitor: Command) -> list[dict[str, object]]:
    answer = monitor("approvals", "--json")
    assert answer.code == 0
    found: list[dict[str, object]] = json.loads(answer.out)["approvals"]
    return found


def test_it_is_listed_approved_once_and_on_record(monitor: Command) -> None:
    number = put(monitor)
    told = monitor("approvals")
    assert told.code == 0
    assert f"asked approval {number} (incident 1): Rollback to v1 [red], until" in told.out
    assert "what it does: a minute away" in told.out
    said = monitor("approve", str(number), "--by", "Anna")
    assert (said.code, said.out.startswith("granted: approval 1")) == (0, True)
    (one,) = listed(monitor)
    assert (one["state"], one["who"], one["open"]) == ("granted", "Anna (terminal)", True)
    for verb in ("approve", "deny"):
        again = monitor(verb, str(number))
        assert (again.code, again.out) == (1, "")
        assert "was granted already, by Anna (terminal)" in again.err
    assert "approval granted by Anna (terminal): approval 1" in monitor("audit").out


def test_it_is_denied(monitor: Command) -> None:
    assert monitor("deny", str(put(monitor)), "--by", "Bea").code == 0
    assert listed(monitor)[0]["state"] == "denied"


def test_too_late_unknown_and_wrong(monitor: Command) -> None:
    early = monitor("approve", "1")
    assert (early.code, "nothing has been asked yet" in early.err) == (1, True)
    assert not monitor.state.exists(), "a look must not make a store"
    assert monitor("approvals").out == "nothing waits for an approval, and nothing ever did\n"
    number = put(monitor, ttl=timedelta(seconds=-1))
    late = monitor("approve", str(number))
    assert (late.code, "has expired" in late.err) == (1, True)
    assert "there is no approval 99" in monitor("approve", "99").err
    for wrong in ("x", "0", "-1", "9" * 30, "1; DROP TABLE approvals"):
        assert monitor("approve", wrong).code == 2
    assert monitor("approve").code == 2
