"""The Watchdog at the receiver: it comes, it stops, the clock jumps, the process starts anew."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from receiver.hearing.watchdog import FINGERPRINT, Watchdog
from receiver.settings import ReceiverSettings
from receiver.store import heartbeats, incidents, messages
from receiver.store.database import Database
from tests.parts.approval_kit import scene
from tests.parts.intake_kit import INTAKE, FakeClock
from tests.parts.receiver_kit import WITHIN, Running, alert, application, body, receiver
from tests.parts.stores import Stores
from tests.parts.watchdog_kit import beat, watchdog
from tests.standins.discord import Discord

URL = {"ALERTMANAGER_URL": "http://127.0.0.1:9"}
QUIET = "1s"


class Hand:
    """A Watchdog whose clocks are held in the hand, over a store that outlives it."""

    def __init__(self, database: Database, **settings: str) -> None:
        self.database = database
        self.settings = ReceiverSettings.model_validate(settings)
        self.clock = FakeClock()
        self.ticks = 1000.0
        self.gaps: list[str] = []
        self.beats = 0
        self.refused = 0.0
        self.begin()

    def begin(self) -> None:
        """As the process starts."""
        self.dog = Watchdog(
            self.database,
            INTAKE,
            self.settings,
            self.clock,
            gap=self.gaps.append,
            beat=self._beat,
            wake=lambda: None,
            refused=lambda: self.refused,
            monotonic=lambda: self.ticks,
        )

    def _beat(self) -> None:
        self.beats += 1

    async def pass_by(self, minutes: float, *, looking: bool = True) -> None:
        """Time goes by on both clocks; looked at every half minute."""
        for _ in range(int(minutes * 2)):
            self.ticks += 30
            self.clock.pass_by(seconds=30)
            if looking:
                await self.dog.look()

    async def arrives(self) -> None:
        await self.database.run(lambda c: messages.beat(c, "Watchdog", self.clock.now()))
        await self.dog.look()

    async def missing(self) -> bool:
        found = await self.database.run(lambda c: heartbeats.beats(c, FINGERPRINT))
        return found.missing

    async def alarms(self) -> int:
        def count(c: Any) -> int:
            return sum(len(incidents.alerts(c, i.id)) for i in incidents.incidents(c))

        return await self.database.run(count)


@pytest.fixture
def database(stores: Stores) -> Database:
    return stores.database()


async def test_it_stops_and_is_missed_once_and_comes_again(database: Database) -> None:
    hand = Hand(database)
    await hand.dog.look()
    await hand.arrives()
    await hand.pass_by(4.5)
    assert not await hand.missing()
    await hand.pass_by(600)
    assert await hand.missing()
    assert await hand.alarms() == 1
    await hand.arrives()
    assert not await hand.missing()
    assert hand.gaps == ["the Watchdog had stopped"]
    assert hand.beats == 2


@pytest.mark.parametrize(("settings", "missed"), [({}, False), (URL, True)])
async def test_where_none_ever_came(
    database: Database, settings: dict[str, str], missed: bool
) -> None:
    hand = Hand(database, **settings)
    await hand.pass_by(30)
    assert await hand.missing() is missed


async def test_after_a_start_it_has_the_whole_time_again(database: Database) -> None:
    hand = Hand(database)
    await hand.dog.look()
    await hand.arrives()
    await hand.pass_by(600, looking=False)
    hand.begin()
    await hand.dog.look()
    await hand.pass_by(4.5)
    assert not await hand.missing()
    await hand.pass_by(1)
    assert await hand.missing()
    hand.begin()
    await hand.dog.look()
    await hand.pass_by(1)
    assert await hand.missing(), "a start alone is no sign of life"
    await hand.arrives()
    assert not await hand.missing()
    assert await hand.alarms() == 1


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_clock_that_is_set_neither_alarms_nor_hides(database: Database, hours: int) -> None:
    hand = Hand(database)
    await hand.dog.look()
    await hand.arrives()
    hand.clock.moment += timedelta(hours=hours)
    await hand.pass_by(1)
    assert not await hand.missing()
    assert hand.gaps == ["this process was suspended, or the clock was set"]
    await hand.pass_by(5)
    assert await hand.missing()
    await hand.arrives()
    assert not await hand.missing()


async def test_whoever_was_stopped_could_hear_nothing(database: Database) -> None:
    hand = Hand(database)
    await hand.dog.look()
    await hand.arrives()
    await hand.pass_by(60, looking=False)
    await hand.dog.look()
    assert not await hand.missing()
    assert hand.gaps == ["this process was suspended, or the clock was set"]
    await hand.pass_by(6)
    assert await hand.missing()


async def test_after_a_long_silence_a_webhook_ends_a_gap(database: Database) -> None:
    hand = Hand(database)
    hand.dog.heard()
    hand.ticks += 299
    hand.dog.heard()
    assert hand.gaps == []
    hand.ticks += 301
    hand.dog.heard()
    assert hand.gaps == ["nothing had arrived for longer than WATCHDOG_TIMEOUT"]


async def test_what_the_store_refused_is_a_gap(database: Database) -> None:
    hand = Hand(database)
    await hand.dog.look()
    hand.refused = 3
    await hand.dog.look()
    await hand.dog.look()
    assert hand.gaps == ["the store could not take a webhook"]


async def test_a_store_that_could_not_be_used_is_a_gap(database: Database) -> None:
    hand = Hand(database)
    database.close()
    looking = asyncio.create_task(hand.dog.run())
    with capture_logs() as logs:
        while not logs:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)
    assert [e["event"] for e in logs] == ["the store cannot be used; looking again"]
    looking.cancel()
    database.open()
    await hand.dog.look()
    await hand.dog.look()
    assert hand.gaps == ["the store could not be used"]


# With the whole receiver


async def find(running: Running, service: str) -> dict[str, Any]:
    """The newest incident of a service; empty where there is none."""
    found = [i for i in await running.incidents() if i["service"] == service]
    return found[0] if found else {}


async def until(running: Running, service: str, condition: Any, what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(WITHIN):
            while not ((found := await find(running, service)) and condition(found)):  # noqa: ASYNC110 - it lies behind HTTP
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited for {what}; {json.dumps(found, indent=1)}") from None
    return found


def resolved(incident: dict[str, Any]) -> bool:
    return bool(incident["state"] == "resolved")


def is_open(incident: dict[str, Any]) -> bool:
    return bool(incident["state"] == "open")


async def test_it_stops_and_people_are_told_by_one_card_that_rings(tmp_path: Path) -> None:
    async with (
        Discord(rate_limit=(1000, 1.0)) as discord,
        receiver(tmp_path, DISCORD_WEBHOOK_URL=discord.url, WATCHDOG_TIMEOUT=QUIET) as running,
    ):
        await running.post(watchdog())
        await discord.wait_until(lambda d: d.messages, 60)
        told = json.dumps(discord.messages[0].body)
        assert "WatchdogMissing" in told
        assert "Monitoring is blind" in told
        await running.post(watchdog())
        await until(running, "sermon-monitor", resolved, "the end")
        await discord.wait_until(lambda d: "Over" in json.dumps(d.messages[0].body), 60)
    (card,) = [m for m in discord.messages if m.embeds]
    assert card.pings.roles == ("4242",)


async def test_the_absence_outlives_a_restart(tmp_path: Path) -> None:
    async with receiver(tmp_path, WATCHDOG_TIMEOUT=QUIET) as running:
        await running.post(watchdog())
        await until(running, "sermon-monitor", is_open, "the alarm")
    async with receiver(tmp_path, WATCHDOG_TIMEOUT="1h") as running:
        assert is_open(await find(running, "sermon-monitor"))
        await running.post(watchdog("resolved"))
        assert is_open(await find(running, "sermon-monitor"))
        await running.post(watchdog())
        found = await until(running, "sermon-monitor", resolved, "the end")
    assert len(found["alerts"]) == 1


async def test_while_monitoring_is_blind_only_our_own_look_ends_an_incident(tmp_path: Path) -> None:
    async with (
        application() as app,
        receiver(tmp_path, APP_URL=app.url, WATCHDOG_TIMEOUT=QUIET) as running,
    ):
        await running.post(watchdog())
        await until(running, "sermon-monitor", is_open, "the alarm")
        labels = {"alertname": "NobodyLooks", "severity": "warning", "service": "other"}
        trusted = {"alertname": "SoonAPerson", "severity": "critical", "service": "sermon-uploader"}
        for one in (labels, trusted):
            await running.post(body(alert(one["alertname"], labels=one)))
        for one in (labels, trusted):
            await running.post(body(alert(one["alertname"], "resolved", labels=one)))
        waiting = await until(
            running, "other", lambda i: "monitoring is blind" in i["verdict"], "the words"
        )
        assert is_open(waiting)
        assert "NobodyLooks" in waiting["verdict"]
        await until(running, "sermon-uploader", resolved, "what the probe confirms")
        assert is_open(await find(running, "other"))
        beating = asyncio.create_task(beat(running))
        await until(running, "other", resolved, "the end, now that the Watchdog comes")
        beating.cancel()


async def test_an_end_just_before_the_watchdog_stops_is_not_believed(tmp_path: Path) -> None:
    """Alertmanager ends alerts some minutes after Prometheus has died; the timeout comes later."""
    async with receiver(tmp_path, WATCHDOG_TIMEOUT="3s") as running:
        await running.post(watchdog())
        await running.post(body(alert("NobodyLooks")))
        await running.post(body(alert("NobodyLooks", "resolved")))
        found = await until(
            running, "sermon-uploader", lambda i: "blind" in i["verdict"], "the words"
        )
        assert is_open(found)
        kinds = [e["kind"] for e in found["events"]]
        assert "resolved" not in kinds
        assert kinds.count("not over yet") == 1


async def test_only_an_accepted_webhook_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a person's word, nor a refused body, nor our own work shows that Alertmanager can reach us."""
    heard: list[str] = []
    monkeypatch.setattr(Watchdog, "heard", lambda _self: heard.append("webhook"))
    async with scene(tmp_path, BOARD_TOKEN="b" * 32) as it:
        await it.asked()
        assert heard == ["webhook"]
        headers = {"Authorization": "Bearer " + "b" * 32}
        decision = {"decision": "deny", "by": "Anna"}
        url = it.running.url + "/api/approvals/1"
        async with it.running.session.post(url, json=decision, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        assert (await it.running.post(b"{}"))[0] == 400
        assert heard == ["webhook"]
        await it.running.post(watchdog())
        assert heard == ["webhook"] * 2
