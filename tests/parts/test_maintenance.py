"""Maintenance windows: actions pause, visibility stays, and what still fires at the end is acted on."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from zoneinfo import ZoneInfo

import pytest

from receiver.deciding.decision import PlannedStep
from receiver.maintenance import windows as maintenance
from receiver.maintenance.calendar import Calendar, Recurring
from receiver.records import Window
from receiver.store import incidents, steps, windows
from sermon_monitor import maintenance as command
from target.versions import Release
from tests.parts.cli_kit import Command
from tests.parts.receiver_kit import alert, body, ended, policy_text, receiver, step
from tests.parts.stores import Stores
from tests.standins.discord import Discord

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CALLS = policy_text("""
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: none, steps: [person @0s]}
""")


@pytest.fixture
def c(stores: Stores) -> Connection:
    return stores.connection()


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


def titles(discord: Discord) -> list[str]:
    return [str(m.embeds[0]["title"]) if m.embeds else m.content for m in discord.messages]


def opened(c: Connection, begin: int, end: int, reason: str = "updates") -> None:
    windows.open_window(c, NOW + begin * MINUTE, NOW + end * MINUTE, reason, "person", NOW)


@pytest.mark.file
async def test_nobody_is_called_until_it_is_over(tmp_path: Path, discord: Discord) -> None:
    store = tmp_path / "state" / "receiver.sqlite3"
    async with receiver(tmp_path, CALLS, DISCORD_WEBHOOK_URL=discord.url) as running:
        command.start(store, command.Wanted(30 * MINUTE, "updates of the *Pi*", "anna (terminal)"))
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
    assert (
        maintenance.words_of(found, ZoneInfo("Europe/Berlin"))
        == "maintenance until 03:20 CET: long"
    )
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


def test_what_people_began_stays_begun_when_the_clock_is_set_back(c: Connection) -> None:
    opened(c, 0, 30, "by hand")
    opened(c, 40, 50, "to come")
    windows.open_window(c, NOW, NOW + 60 * MINUTE, "weekly", "recurring", NOW)
    calendar = Calendar((), UTC)
    assert maintenance.keep_windows(c, calendar, "dry", NOW) == 2
    before = NOW - 90 * MINUTE
    assert maintenance.keep_windows(c, calendar, "dry", before) == 0
    found = windows.active(c, before)
    assert found is not None
    assert (found.reason, found.starts_at, found.ends_at) == ("by hand", before, NOW + 30 * MINUTE)
    assert windows.active(c, NOW + 45 * MINUTE) == windows.windows(c)[1], "weekly, as agreed"
    assert windows.end_windows(c, before) == 2, "and what is still to come"
    assert windows.active(c, before) is None


GRACE = 2 * MINUTE


def past(c: Connection, *spans: tuple[int, int]) -> list[Window]:
    """Windows of deployments from and to so many minutes after NOW, as the store gives them."""
    for begin, end in spans:
        windows.open_window(
            c, NOW + begin * MINUTE, NOW + end * MINUTE, "deployment of x", "deployment", NOW
        )
    return windows.of_deployments(c, NOW)


@pytest.mark.parametrize(
    ("spans", "minutes"),
    [
        ((), 2),
        (((-60, -58),), 2),
        (((-2, 0),), 2),  # the second in a row
        (((-5, -3), (-3, -1)), 1),  # the third: three graces after the first at the latest
        (((-6, -4), (-4, -2)), None),
        (((-60, -58), (-1, 1)), 2),
    ],
)
def test_deployments_in_a_row_do_not_put_the_steps_off_for_ever(
    c: Connection, spans: tuple[tuple[int, int], ...], minutes: int | None
) -> None:
    until = maintenance.grace_until(NOW, GRACE, past(c, *spans))
    assert until == (NOW + minutes * MINUTE if minutes else None)


def test_a_version_that_takes_over_gets_its_grace_once(c: Connection) -> None:
    def told(at: datetime) -> bool:
        return maintenance.open_around_deployment(c, "v2 (b2b2b2b)", NOW, GRACE, at)

    assert told(NOW + timedelta(seconds=10))
    assert not told(NOW + timedelta(seconds=25)), "as each look at the ledger says it again"
    window = windows.active(c, NOW + MINUTE)
    assert window is not None
    assert (window.reason, window.ends_at) == ("deployment of v2 (b2b2b2b)", NOW + GRACE)
    assert windows.active(c, NOW + GRACE) is None, "a bad one is acted on soon"
    assert maintenance.announce(c, "dry", NOW + MINUTE) == 1
    assert maintenance.announce(c, "dry", NOW + GRACE) == 0, "its end is only put on record"
    assert windows.end_windows(c, NOW + MINUTE) == 1
    assert not told(NOW + MINUTE), "what a person has ended stays ended"
    assert not told(NOW + 3 * MINUTE)


def test_a_version_of_a_clock_that_went_ahead_gets_its_grace_now(c: Connection) -> None:
    """The clock was set back between the ledger's look and ours."""
    ahead = NOW + timedelta(hours=1)
    assert maintenance.open_around_deployment(c, "v2", ahead, GRACE, NOW)
    window = windows.active(c, NOW + MINUTE)
    assert window is not None
    assert window.ends_at == NOW + GRACE
    assert not maintenance.open_around_deployment(c, "v2", ahead, GRACE, NOW + MINUTE)
    assert windows.active(c, ahead) is None


def test_a_version_seen_too_late_gets_none(c: Connection) -> None:
    assert not maintenance.open_around_deployment(c, "v2", NOW, GRACE, NOW + GRACE)


@pytest.mark.parametrize(("ended", "ours"), [(None, True), (1, True), (-1, False)])
def test_a_rollback_of_ours_is_no_deployment(c: Connection, ended: int | None, ours: bool) -> None:
    incident = incidents.open_incident(c, "a", "critical", NOW)
    steps.add_step(c, incident, PlannedStep("rollback", "app", NOW), "A")
    (rollback,) = steps.steps(c, incident)
    steps.claim_step(c, rollback.id, "x", {}, NOW - 5 * MINUTE)
    if ended is not None:
        steps.end_step(c, rollback.id, "done", "", NOW + ended * MINUTE)
    assert maintenance.open_around_deployment(c, "v1", NOW, GRACE, NOW + MINUTE) is not ours


def test_a_window_for_a_deployment_to_come_ends_with_its_grace(c: Connection) -> None:
    begin, end = NOW - 3 * MINUTE, NOW + 7 * MINUTE
    windows.open_window(c, begin, end, "v2 comes", "deployment", begin, who="ci (terminal)")
    opened(c, -3, 7, "updates")
    assert maintenance.open_around_deployment(c, "v2", NOW, GRACE, NOW)
    left = {w.reason: w.ends_at for w in windows.windows(c)}
    assert left == {"v2 comes": NOW + GRACE, "deployment of v2": NOW + GRACE, "updates": end}


def test_a_recurring_window_is_stored_when_it_comes(c: Connection) -> None:
    night = {"from": "02:00", "for": "1h", "reason": "night", "silence": True}
    calendar = Calendar([Recurring.model_validate(night)], ZoneInfo("UTC"))
    for at in (-1, 0, 1, 59):
        maintenance.open_recurring(c, calendar, NOW + at * MINUTE)
    (one,) = windows.windows(c)
    assert (one.origin, one.starts_at, one.silence) == ("recurring", NOW, True)
    assert maintenance.announce(c, "dry", NOW) == 1
    assert windows.end_windows(c, NOW + MINUTE) == 1
    maintenance.open_recurring(c, calendar, NOW + 2 * MINUTE)
    assert windows.active(c, NOW + 2 * MINUTE) is None, "ended by hand, it stays ended"
    maintenance.open_recurring(c, calendar, NOW + timedelta(days=1))
    assert len(windows.windows(c)) == 2


@pytest.mark.file
async def test_a_recurring_window_holds_the_steps(tmp_path: Path, discord: Discord) -> None:
    begin = datetime.now(UTC) - MINUTE
    weekly = f'maintenance: [{{from: "{begin:%H:%M}", for: 1h, reason: every week}}]\n'
    async with receiver(tmp_path, CALLS + weekly, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.post(body(alert()))
        found = await running.until(lambda i: step(i, "person").get("words"), "a reason to wait")
        assert "every week" in step(found, "person")["words"]
        told = json.loads((await running.get("/api/maintenance"))[1])
        assert [w["origin"] for w in told["maintenance"]] == ["recurring"]
        assert len(told["coming"]) == 7
        command.stop(tmp_path / "state" / "receiver.sqlite3", "anna (terminal)")
        await running.until(ended("person", "done"), "the call after the window's end")


async def test_a_deployment_is_given_its_grace_then_acted_on(
    tmp_path: Path, discord: Discord
) -> None:
    policy = CALLS.replace("  recheck:", "  deployment_grace: 3s\n  recheck:")
    async with receiver(tmp_path, policy, DISCORD_WEBHOOK_URL=discord.url) as running:
        since = datetime.now(UTC)
        release = Release("app", "a:v2", "sha256:2", "", "v2", "", "", since)
        await running.receiver.deployed(release)
        await running.receiver.deployed(release)
        await running.post(body(alert()))
        found = await running.until(lambda i: step(i, "person").get("words"), "a reason to wait")
        assert "deployment of v2" in step(found, "person")["words"]
        await running.until(ended("person", "done"), "the call after the grace")
        assert datetime.now(UTC) >= since + timedelta(seconds=3)
        assert titles(discord).count("A deployment") == 1


def test_the_commands(tmp_path: Path) -> None:
    monitor = Command(tmp_path)
    assert monitor("maintenance", "list").out.strip() == "no maintenance windows"
    assert monitor("maintenance", "stop").out.strip() == "no window was open"
    for wrong in (
        ("1s", "--reason", "x"),
        ("soon", "--reason", "x"),
        ("30m",),
        ("30m", "--reason", " "),
        ("--reason", "how long"),
        ("2h", "--deployment", "--reason", "x"),
        ("30m", "--silence", "--reason", "no Alertmanager"),
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
    assert window["who"].endswith(" (terminal)")
    assert monitor("maintenance", "stop").out.startswith("maintenance is over")
    (window,) = json.loads(monitor("maintenance", "list", "--json").out)["maintenance"]
    assert not window["active"]
    assert monitor("maintenance", "start", "--deployment", "--reason", "v2").code == 0
    monitor.environment["TIMEZONE"] = "Europe/Berlin"
    table = tmp_path / "policy.yml"
    table.write_text(
        CALLS + 'maintenance: [{days: [tue], from: "02:00", for: 1h, reason: every week}]\n'
    )
    monitor.environment["POLICY_FILE"] = str(table)
    told = json.loads(monitor("maintenance", "list", "--json").out)
    assert [w["origin"] for w in told["maintenance"]] == ["deployment", "person"]
    assert [w["reason"] for w in told["coming"]] == ["every week"]
    assert re.search(
        r"comes Tue .* 02:00 to 03:00 CES?T \(recurring\)", monitor("maintenance", "list").out
    )
    monitor.environment["TIMEZONE"] = "Nowhere/Land"
    assert "TIMEZONE" in monitor("maintenance", "list").err
