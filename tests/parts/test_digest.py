"""The daily digest in the receiver: once a day over restarts, crashes and Discord's absence, with Prometheus' figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from receiver.digest.keeper import DigestKeeper
from receiver.http import Http, open_session
from receiver.settings import ReceiverSettings
from receiver.store import incidents, messages
from receiver.store.database import Database
from receiver.telling.note import Note
from tests.parts.cli_kit import Command
from tests.parts.exporter_kit import NOWHERE
from tests.parts.stores import Stores


class Clock:
    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


BEGAN = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


class Story:
    """A store, and keepers that come and go."""

    def __init__(self, directory: Path, database: Database, http: Http) -> None:
        self.directory, self.database, self.http = directory, database, http
        self.clock = Clock(BEGAN)
        self.settings: dict[str, Any] = {"TIMEZONE": "Europe/Berlin", "STATE_DIR": directory}
        self.woken = 0

    def keeper(self) -> DigestKeeper:
        settings = ReceiverSettings.model_validate(self.settings)
        return DigestKeeper(self.database, settings, self.clock, self.http, "discord", self._wake)

    def _wake(self) -> None:
        self.woken += 1

    async def notes(self, *, waiting: bool = True) -> list[Note]:
        query = "SELECT note FROM messages WHERE kind = 'note'" + (
            " AND revision > delivered" if waiting else ""
        )
        rows = await self.database.run(lambda c: c.execute(query + " ORDER BY id").fetchall())
        return [Note.model_validate_json(row["note"]) for row in rows]

    async def told(self) -> None:
        await self.database.run(lambda c: c.execute("UPDATE messages SET delivered = revision"))


@pytest.fixture
async def story(tmp_path: Path, stores: Stores) -> AsyncIterator[Story]:
    database = stores.database()
    async with open_session() as session:
        yield Story(tmp_path, database, Http(session))


async def test_a_week_with_a_restart_at_every_look_has_one_a_day(story: Story) -> None:
    """Over the night in which the clock goes forward; the first comes at the next slot, none at once."""
    days = []
    for _ in range(7 * 24 * 2):
        if await story.keeper().look():
            days.append(story.clock.time)
            await story.told()
        story.clock.time += timedelta(minutes=30)
    assert [f"{at:%d %H:%M}" for at in days] == [
        "28 08:00", "29 07:00", "30 07:00", "31 07:00", "01 07:00", "02 07:00", "03 07:00",
    ]  # fmt: skip
    assert story.woken == 7
    first, second = (await story.notes(waiting=False))[:2]
    assert f"<t:{int(BEGAN.timestamp())}:f>" in first.text
    assert f"<t:{int(days[0].timestamp())}:f> to <t:{int(days[1].timestamp())}:f>" in second.text


async def test_two_that_look_at_once_make_one(story: Story) -> None:
    await story.keeper().look()
    story.clock.time += timedelta(days=1)
    made = await asyncio.gather(*(story.keeper().look() for _ in range(5)))
    assert sorted(made) == [False] * 4 + [True]
    assert len(await story.notes()) == 1


async def test_what_was_missed_while_we_were_down_comes_once_and_late(story: Story) -> None:
    await story.keeper().look()
    story.clock.time += timedelta(days=3, hours=5)
    assert await story.keeper().look()
    assert not await story.keeper().look()
    assert len(await story.notes()) == 1


async def test_of_those_that_discord_did_not_take_the_newest_tells_all(story: Story) -> None:
    await story.keeper().look()
    for _ in range(3):
        story.clock.time += timedelta(days=1)
        assert await story.keeper().look()
    (note,) = await story.notes()
    assert f"<t:{int(BEGAN.timestamp())}:f>" in note.text


async def test_a_clock_that_was_wrong_for_a_while(story: Story) -> None:
    await story.keeper().look()
    story.clock.time += timedelta(days=400)
    assert await story.keeper().look()
    story.clock.time = BEGAN + timedelta(days=1)
    assert await story.keeper().look(), "a digest of the future does not hold up those of today"
    story.clock.time = datetime(1970, 1, 1, 12, tzinfo=UTC)
    assert not await story.keeper().look()


async def test_off_is_off(story: Story) -> None:
    story.settings["DIGEST_AT"] = "off"
    for _ in range(3):
        assert not await story.keeper().look()
        story.clock.time += timedelta(days=1)


async def test_it_tells_what_the_store_knows(story: Story) -> None:
    await story.keeper().look()

    def happen(c: Any) -> None:
        now = story.clock.time + timedelta(hours=1)
        number = incidents.open_incident(c, "sermon-uploader", "critical", now)
        alert = incidents.NewAlert(number, "f", "ServiceDown", "critical", {}, {}, now)
        quiet = incidents.open_incident(c, "sermon-uploader", "info", now, digest=True)
        info = incidents.NewAlert(quiet, "g", "Deployed", "info", {}, {}, now)
        incidents.add_alerts(c, [alert, info], now)
        for _ in range(2):
            messages.add_event(c, number, "rollback refuse", "switched on: X is false", now)

    await story.database.run(happen)
    story.clock.time += timedelta(days=1)
    assert await story.keeper().look()
    (note,) = await story.notes()
    said = {field.name: field.value for field in note.fields}
    assert note.title == "🟠 Daily digest: 1 incident is open"
    assert said["Incidents"].startswith(
        "1 critical began; 0 ended\nOpen: incident 1, sermon-uploader"
    )
    assert said["Alerts"] == "ServiceDown (critical)\nDeployed (info)"
    assert said["What was held back"] == "rollback: switched on: X is false (×2)"
    assert said["How it ran"] == "No figures: PROMETHEUS\\_URL is not set"


async def prometheus(request: web.Request) -> web.Response:
    query = request.query["query"]
    assert float(request.query["time"]) > 0
    result = [
        {"metric": {"mountpoint": "/data"}, "value": [0, "NaN" if "histogram" in query else "0.5"]}
    ]
    return web.json_response({"status": "success", "data": {"result": result}})


async def test_figures_come_from_prometheus_which_is_waited_for_a_while(story: Story) -> None:
    await story.keeper().look()
    story.settings["PROMETHEUS_URL"] = NOWHERE
    story.clock.time = BEGAN.replace(hour=8) + timedelta(days=1)
    keeper = story.keeper()
    assert not await keeper.look(), "it may only just be starting"
    app = web.Application()
    app.router.add_get("/api/v1/query", prometheus)
    async with TestServer(app) as server:
        story.settings["PROMETHEUS_URL"] = str(server.make_url("")).rstrip("/")
        assert await story.keeper().look()
    (note,) = await story.notes()
    said = {field.name: field.value for field in note.fields}
    assert "Up 50 % of the time (monitoring itself saw 50 % of it)" in said["How it ran"]
    assert "/data, 50 % used" in said["Disk and backup"]


async def test_a_prometheus_that_stays_away_is_said_in_words(story: Story) -> None:
    await story.keeper().look()
    story.settings["PROMETHEUS_URL"] = NOWHERE
    story.clock.time = BEGAN.replace(hour=8) + timedelta(days=1)
    keeper = story.keeper()
    assert not await keeper.look()
    story.clock.time += timedelta(minutes=6)
    assert await keeper.look()
    (note,) = await story.notes()
    assert "Prometheus could not be asked" in note.fields[0].value


def test_the_command_prints_it_and_sends_nothing(tmp_path: Path) -> None:
    monitor = Command(tmp_path)
    assert "Daily digest: all is well" in monitor("digest").out
    monitor.store("ServiceDown")
    monitor.environment["TIMEZONE"] = "Europe/Berlin"
    answer = monitor("digest")
    assert (answer.code, answer.err) == (0, "")
    assert "incident is open" in answer.out
    assert "<t:" not in answer.out
    assert json.loads(monitor("digest", "--json").out)["title"].startswith("🟠")
    for name, value in (
        ("TIMEZONE", "Mars/Olympus"),
        ("TIMEZONE", "../etc"),
        ("DIGEST_AT", "25:00"),
    ):
        monitor.environment[name] = value
        refused = monitor("digest")
        assert refused.code == 2
        assert f"{name}=" in refused.err
        del monitor.environment[name]
