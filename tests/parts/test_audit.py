"""The audit trail: what has its row, who stands in it, how it is listed and exported."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest

from receiver.audit import as_csv, page
from receiver.store import messages
from receiver.store.audit import Wanted, trail
from receiver.store.database import MIGRATIONS, connect
from sermon_monitor.audit import since
from tests.parts.cli_kit import Command
from tests.parts.receiver_kit import (
    Running,
    alert,
    application,
    body,
    ended,
    policy_text,
    receiver,
    texts,
)
from tests.parts.stores import Stores
from tests.standins.discord import Discord

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
FORMULA = '=HYPERLINK("http://evil.test","x")'


@pytest.fixture
def c(stores: Stores) -> Connection:
    return stores.connection()


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


def filled(c: Connection, count: int) -> None:
    for number in range(count):
        at = NOW + timedelta(hours=number)
        messages.add_event(c, None, f"kind {number % 2}", f"words {number}", at, who="anna")


def test_pages_go_back_in_time_without_gap_or_repeat(c: Connection) -> None:
    filled(c, 25)
    seen: list[str] = []
    before: int | None = None
    for count in (10, 10, 5):
        found = page(c, Wanted(before=before), 10)
        assert len(found["audit"]) == count
        seen += [one["words"] for one in found["audit"]]
        before = found["next"]
        messages.add_event(c, None, "meanwhile", "new", NOW)  # moves no page
    assert before is None
    assert seen == [f"words {number}" for number in reversed(range(25))]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(since=NOW + timedelta(hours=3)), ["words 4", "words 3"]),
        (Wanted(kind="kind 1"), ["words 3", "words 1"]),
        (Wanted(incident_id=7), []),
        (Wanted(before=2), ["words 0"]),
    ],
)
def test_what_is_wanted(c: Connection, wanted: Wanted, words: list[str]) -> None:
    filled(c, 5)
    assert [event.words for event in trail(c, wanted)] == words


def test_no_spreadsheet_takes_a_name_for_a_formula(c: Connection) -> None:
    for words in (FORMULA, "+1", "@x", 'a "quote", a comma\nand a line'):
        messages.add_event(c, None, "open", words, NOW)
    read = list(csv.DictReader(io.StringIO("".join(as_csv(trail(c, Wanted()))))))
    assert [one["words"] for one in read][::-1] == [
        f"'{FORMULA}",
        "'+1",
        "'@x",
        'a "quote", a comma\nand a line',
    ]
    assert {one["who"] for one in read} == {"Sermon Monitor"}
    assert read[0]["at"] == "2026-03-01T02:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("2026-02-28", datetime(2026, 2, 28, tzinfo=UTC)),
        ("2026-02-28T10:00:00+02:00", datetime(2026, 2, 28, 8, tzinfo=UTC)),
    ],
)
def test_since(text: str, moment: datetime) -> None:
    assert since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "28.2.2026"])
def test_since_when(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: a duration"):
        since(text, NOW)


def test_the_command(tmp_path: Path) -> None:
    monitor = Command(tmp_path)
    assert monitor("audit").out == "nothing is on record\n"
    assert json.loads(monitor("audit", "--json").out) == {"audit": []}
    monitor.environment["SUDO_USER"] = "ruth\x1b[31m"
    monitor("maintenance", "start", "30m", "--reason", "updates\x1b[2J")
    monitor("maintenance", "stop", "--by", "Anna")
    listed = monitor("audit").out
    assert "\x1b" not in listed
    assert "maintenance asked for by ruth [31m (terminal): for 30m: updates [2J" in listed
    assert "maintenance ended by Anna (terminal): 1 window ended before time" in listed
    found = json.loads(monitor("audit", "--json").out)["audit"]
    assert [one["kind"] for one in found] == ["maintenance asked for", "maintenance ended"]
    assert json.loads(monitor("audit", "--json", "--limit", "1").out)["audit"] == found[1:]
    assert monitor("audit", "--since", "1h", "--csv").out.count("\r\n") == 3
    assert monitor("audit", "--incident", "7").out == "nothing is on record\n"
    for wrong in (("--since", "soon"), ("--json", "--csv"), ("--limit", "0"), ("--incident", "x")):
        assert monitor("audit", *wrong).code == 2


def test_a_store_of_an_older_release_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    monitor = Command(tmp_path)
    monitor.state.mkdir()
    path = monitor.state / "receiver.sqlite3"
    old = connect(path)
    for number, name in enumerate(MIGRATIONS[:5], 1):
        script = resources.files("receiver.store").joinpath(name).read_text(encoding="utf-8")
        old.executescript(f"{script}; PRAGMA user_version = {number};")
    old.execute("INSERT INTO events (at, kind, words) VALUES (1, 'open', 'of old')")
    old.close()
    (one,) = json.loads(monitor("audit", "--json").out)["audit"]
    assert (one["who"], one["words"]) == ("Sermon Monitor", "of old")
    for words in (("incidents",), ("maintenance", "list"), ("explain", "ServiceDown")):
        assert monitor(*words).code == 0
    again = connect(path, read_only=True)
    assert again.execute("PRAGMA user_version").fetchone()[0] == 5
    again.close()


async def audited(running: Running, query: str = "") -> list[dict[str, Any]]:
    status, text = await running.get(f"/api/audit{query}")
    assert status == 200, text
    found: list[dict[str, Any]] = json.loads(text)["audit"]
    return found


async def test_a_whole_incident_is_on_record(tmp_path: Path, discord: Discord) -> None:
    rows = """
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: probe,
     steps: [restart app @0s, rollback @10m, person @1s]}
"""
    async with (
        application() as app,
        receiver(
            tmp_path,
            policy_text(rows),
            APP_URL=app.url,
            DISCORD_WEBHOOK_URL=discord.url,
            DRY_RUN="true",
        ) as running,
    ):
        app.well = False
        await running.post(body(alert()))
        await running.until(ended("person", "done"), "the call")
        await discord.wait_until(lambda d: len(d.messages) == 2)
        app.well = True
        await running.post(body(alert(status="resolved")))
        await running.until(lambda i: i["state"] == "resolved", "its end")
        await running.post(body(alert("Unknown", status="resolved")))
        found = (await audited(running))[::-1]
        kinds = {one["kind"] for one in found}
        assert {
            "open",
            "restart wait",  # no Engine answers here
            "person begins",
            "person done",
            "told",
            "end",
            "restart drop",
            "rollback drop",
            "resolved",
            "stray end",
        } <= kinds, kinds
        (opened,) = [one for one in found if one["kind"] == "open"]
        assert opened["words"].endswith(
            "planned: restart app at 0s, rollback app at 10m, person at 1s"
        )
        assert [one["words"] for one in found if one["kind"] == "told"][:2] == [
            "the card, which rings",
            "a call, which rings",
        ]
        assert len(await audited(running, "?limit=2")) == 2
        assert len(await audited(running, "?incident=1&kind=open")) == 1
        for query in ("limit=0", "limit=1001", "incident=x", "since=soon", "before=-1", "order=up"):
            status, text = await running.get(f"/api/audit?{query}")
            assert status == 400, query
            assert "allowed" in text or "not an RFC 3339" in text
        assert discord.url not in "".join(texts(found))


async def test_the_board_token_guards_it(tmp_path: Path) -> None:
    async with receiver(tmp_path, BOARD_TOKEN="secret-of-the-board") as running:
        assert (await running.get("/api/audit"))[0] == 401
        allowed = {"Authorization": "Bearer secret-of-the-board"}
        assert (await running.get("/api/audit", **allowed))[0] == 200
