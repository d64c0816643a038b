"""Maintenance windows: actions pause, visibility stays, and what still fires at the end is acted on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

import pytest

from receiver import maintenance
from receiver.store import windows
from receiver.store.database import connect, migrate
from sermon_monitor import maintenance as command
from tests.parts.cli_kit import Command
from tests.parts.receiver_kit import alert, body, ended, policy_text, receiver, step
from tests.standins.discord import Discord

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CALLS = policy_text("""
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: none, steps: [person @0s]}
""")


@pytest.fixture
def c(tmp_path: Path) -> Iterator[Connection]:
    connection = connect(tmp_path / "s.sqlite3")
    migrate(connection)
    yield connection
    connection.close()


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


def titles(discord: Discord) -> list[str]:
    return [str(m.embeds[0]["title"]) if m.embeds else m.content for m in discord.messages]


def opened(c: Connection, begin: int, end: int, reason: str = "updates") -> None:
    windows.open_window(c, NOW + begin * MINUTE, NOW + end * MINUTE, reason, "person", NOW)


async def test_nobody_is_called_until_it_is_over(tmp_path: Path, discord: Discord) -> None:
    store = tmp_path / "state" / "receiver.sqlite3"
    async with receiver(tmp_path, CALLS, DISCORD_WEBHOOK_URL=discord.url) as running:
        command.start(store, 30 * MINUTE, "updates of the *Pi*", "anna (terminal)")
        await running.post(body(alert()))
        waiting = await running.until(lambda i: step(i, "person").get("words"), "a reason to wait")
        assert step(waiting, "person")["state"] == "pending"
        assert "updates of the *Pi*" in step(waiting, "person")["words"]
        await discord.wait_until(lambda d: len(d.messages) == 2)
        assert sorted(titles(discord))[0] == "Maintenance begins", titles(discord)
        shown = json.loads((await running.get("/api/maintenance"))[1])["maintenance"]
        assert [(w["reason"], w["active"]) for w in shown] == [("updates of the *Pi*", True)]

        assert command.stop(store, "anna (terminal)") == 1
        await running.until(ended("person", "done"), "the call after the window's end")
        await discord.wait_until(lambda d: "Maintenance is over" in titles(d))
        await discord.wait_until(lambda d: len(d.messages) == 4)


async def test_it_ends_by_itself(tmp_path: Path, discord: Discord) -> None:
    async with receiver(tmp_path, CALLS, DISCORD_WEBHOOK_URL=discord.url) as running:
        now = datetime.now(UTC)
        end = now + timedelta(seconds=2)
        await running.receiver._database.run(
            lambda c: windows.open_window(c, now, end, "short", "person", now)
        )
        await running.post(body(alert()))
        await running.until(ended("person", "done"), "the call after the window's end")
        assert datetime.now(UTC) >= end
        await discord.wait_until(lambda d: "Maintenance is over" in titles(d))


def test_the_longest_open_window_counts(c: Connection) -> None:
    assert windows.active(c, NOW) is None
    opened(c, -10, 5, "short")
    opened(c, -5, 20, "long")
    opened(c, 30, 60, "to come")
    found = windows.active(c, NOW)
    assert found is not None
    assert found.reason == "long"
    assert maintenance.words_of(found) == "maintenance until 02:20 UTC: long"
    assert maintenance.words_of(windows.active(c, NOW + 20 * MINUTE)) == ""
    assert windows.end_windows(c, NOW) == 3, "what is still to come is called off too"
    assert windows.active(c, NOW) is None
    assert windows.active(c, NOW + 31 * MINUTE) is None


def test_each_beginning_and_end_is_told_once(c: Connection) -> None:
    opened(c, 0, 10)
    times = [NOW - MINUTE, NOW, NOW, NOW + 9 * MINUTE, NOW + 10 * MINUTE, NOW + 11 * MINUTE]
    assert [maintenance.announce(c, "dry", at) for at in times] == [0, 1, 0, 0, 1, 0]
    assert windows.next_change(c) is None
    opened(c, 20, 30, "missed while we were down")
    assert windows.next_change(c) == NOW + 20 * MINUTE
    assert maintenance.announce(c, "dry", NOW + 40 * MINUTE) == 1
    assert maintenance.announce(c, "dry", NOW + 40 * MINUTE) == 0


@pytest.mark.parametrize(
    ("length", "reason", "words"),
    [
        (timedelta(seconds=59), "x", "allowed: from 1m to 1d"),
        (timedelta(hours=25), "x", "allowed: from 1m to 1d"),
        (30 * MINUTE, "  ", "a reason is needed"),
        (MINUTE, "x", ""),
        (timedelta(hours=24), "x", ""),
    ],
)
def test_what_may_be_opened(length: timedelta, reason: str, words: str) -> None:
    assert maintenance.problem_of(length, reason).startswith(words)
    assert bool(maintenance.problem_of(length, reason)) == bool(words)


def test_the_commands(tmp_path: Path) -> None:
    monitor = Command(tmp_path)
    assert monitor("maintenance", "list").out.strip() == "no maintenance windows"
    assert monitor("maintenance", "stop").out.strip() == "no window was open"
    for wrong in (
        ("1s", "--reason", "x"),
        ("soon", "--reason", "x"),
        ("30m",),
        ("30m", "--reason", " "),
    ):
        answer = monitor("maintenance", "start", *wrong)
        assert answer.code == 2, answer
    started = monitor("maintenance", "start", "30m", "--reason", "updates\x1b[31m")
    assert started.code == 0, started.err
    listed = monitor("maintenance", "list").out
    assert "open" in listed
    assert "\x1b[31m" not in listed
    (window,) = json.loads(monitor("maintenance", "list", "--json").out)["maintenance"]
    assert window["active"]
    assert monitor("maintenance", "stop").out.startswith("maintenance is over")
    (window,) = json.loads(monitor("maintenance", "list", "--json").out)["maintenance"]
    assert not window["active"]
