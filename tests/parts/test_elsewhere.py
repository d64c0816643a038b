"""Where Discord takes nothing for too long people are told another way: by apprise itself, to a real HTTP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr, ValidationError

from receiver.notifiers.elsewhere import Elsewhere
from receiver.settings import ReceiverSettings
from receiver.store import messages
from receiver.telling.delivery import DeliveryError
from receiver.telling.elsewhere import Keeper
from tests.parts.receiver_kit import Running, alert, application, body, policy_text, receiver
from tests.standins.discord import Discord

SECRET = "s3cr3t-t0pic"
ROWS = """
  - {alert: Down, category: health, severity: critical, discord: now, mention: true, confirm: probe,
     steps: [person @0m]}
  - {alert: Warm, category: resource, severity: warning, discord: grouped, confirm: none}
"""
LABELS = {"alertname": "Down", "severity": "critical", "service": "app"}
HOSTILE = {"summary": "it is <@&1> down\x1b[31m\nnow", "description": "nothing\u202e answers"}
DOWN = {**alert("Down", labels=LABELS), "annotations": HOSTILE}


@dataclass
class Service:
    """What apprise's ``json://`` speaks to."""

    url: str = ""
    status: int = 200
    told: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.told.append(await request.json())
        return web.Response(status=self.status)


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    made, served = Service(), web.Application()
    served.router.add_post(f"/{SECRET}", made.take)
    async with TestServer(served) as server:
        made.url = f"json://127.0.0.1:{server.port}/{SECRET}"
        yield made


@dataclass
class Night:
    """A critical alert while Discord takes nothing, and the other way."""

    running: Running
    service: Service
    discord: Discord
    app: Any

    @property
    def keeper(self) -> Keeper:
        it = self.running.receiver
        way = Elsewhere(it.settings.fallbacks)
        return Keeper(it._database, it.settings, self.running.duty.outbox._metrics, it.clock, way)

    async def later(self, minutes: float) -> None:
        """What rang rang so much earlier."""
        seconds = minutes * 60
        change = "UPDATE messages SET rang_at = rang_at - ?, since = since - ?"
        await self.running.receiver._database.run(lambda c: c.execute(change, (seconds, seconds)))

    async def audit(self) -> list[str]:
        found = await self.running.receiver._database.run(lambda c: messages.events(c, 1))
        return [event.kind for event in found]


@asynccontextmanager
async def night(tmp_path: Path, *, failures: int = 1000, **settings: Any) -> AsyncIterator[Night]:
    async with Discord(rate_limit=(1000, 1.0)) as discord, service() as there, application() as app:
        app.well = False
        discord.fail_next(502, times=failures)
        given = {
            "APP_URL": app.url,
            "DISCORD_WEBHOOK_URL": discord.url,
            "FALLBACK_URLS": there.url,
            **settings,
        }
        async with receiver(tmp_path, policy_text(ROWS), **given) as running:
            (own,) = (t for t in running.duty.sentries if t.get_name() == "telling elsewhere")
            own.cancel()  # the test says when to look
            yield Night(running, there, discord, app)


async def test_people_are_told_once_another_way_and_once_that_it_is_over(tmp_path: Path) -> None:
    async with night(tmp_path, CONTACTS="Anna 0151 234") as it:
        await it.running.post(body(DOWN))
        await it.running.until(lambda i: i["events"] and "not told" in str(i["events"]), "a failure")  # fmt: skip
        await it.keeper.look()
        assert it.service.told == [], "Discord has ten minutes"
        await it.later(11)
        await it.keeper.look()
        await it.keeper.look()
        (told,) = it.service.told
        assert told["title"] == "critical: it is <@&1> down [31m now"
        for words in ("Down: nothing answers (since ", "Anna 0151 234", "Discord has not taken it for 11 minutes"):  # fmt: skip
            assert words in told["message"]
        assert all(c.isprintable() or c == "\n" for c in told["message"])
        assert SECRET not in str(await it.running.get("/api/incidents"))
        assert (await it.audit()).count("told elsewhere") == 1
        it.app.well = True
        await it.running.post(body({**DOWN, "status": "resolved"}))
        await it.running.until(lambda i: i["state"] == "resolved", "the end")
        for _ in range(2):
            await it.keeper.look()
        assert len(it.service.told) == 2
        assert it.service.told[1]["title"].startswith("Over: ")
        assert "Discord" not in it.service.told[1]["message"]
        assert "told elsewhere that it is over" in await it.audit()


async def test_what_wakes_nobody_is_not_told_elsewhere(tmp_path: Path) -> None:
    async with night(tmp_path) as it:
        labels = {"alertname": "Warm", "severity": "warning", "service": "app"}
        await it.running.post(body(alert("Warm", labels=labels)))
        await it.running.until(lambda i: "not told" in str(i["events"]), "a failure")
        await it.later(60)
        await it.keeper.look()
        assert it.service.told == []


async def test_where_discord_answers_nothing_goes_another_way(tmp_path: Path) -> None:
    async with night(tmp_path, failures=0) as it:
        await it.running.post(body(DOWN))
        # The card, and the call beside it or that it is not made any more.
        await it.running.until(
            lambda i: sum("told" in event["kind"] for event in i["events"]) == 2, "both"
        )
        await it.later(60)
        await it.keeper.look()
        assert it.service.told == []


async def test_a_service_that_is_away_is_tried_again_without_a_word_of_its_address(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with night(tmp_path) as it:
        await it.running.post(body(DOWN))
        await it.running.until(lambda i: "not told" in str(i["events"]), "a failure")
        await it.later(11)
        it.service.status = 500
        keeper = it.keeper
        await keeper.look()
        await keeper.look()
        assert "told elsewhere" not in await it.audit()
        it.service.status = 200
        await keeper.look()
        assert it.service.told == [], "a minute's pause"
        await it.keeper.look()
        assert len(it.service.told) == 1
        metrics = it.running.metrics()
        assert 'sermon_monitor_notifications_total{notifier="elsewhere",outcome="retried"} 1.0' in metrics  # fmt: skip
    said = capfd.readouterr()
    assert SECRET not in said.out + said.err


async def test_one_of_two_is_enough_and_an_unknown_address_is_named_by_its_number() -> None:
    async with service() as good, service() as bad:
        bad.status = 500
        both = Elsewhere([SecretStr(bad.url), SecretStr(good.url)])
        assert await both.tell("title", "text") == "1 of 2 addresses"
        odd = Elsewhere([SecretStr(good.url), SecretStr("nonsense://x"), SecretStr("%%%")])
        assert await odd.unknown() == [2, 3]
        assert [one["message"] for one in good.told] == ["text"]


async def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 1000\n")
    slow.chmod(0o755)
    monkeypatch.setattr("receiver.notifiers.elsewhere.sys.executable", str(slow))
    with pytest.raises(DeliveryError, match="did not end within"):
        await Elsewhere([SecretStr("json://127.0.0.1:1")], deadline=0.2).tell("a", "b")
    slow.write_text("#!/bin/sh\ncat >/dev/null; echo '[1]'\n")
    with pytest.raises(DeliveryError, match="no sound answer"):
        await Elsewhere([SecretStr("json://127.0.0.1:1")]).tell("a", "b")


def test_the_setting_is_secret_and_bounded() -> None:
    settings = ReceiverSettings.model_validate({"FALLBACK_URLS": f"json://h/{SECRET} mailto://x"})
    assert len(settings.fallbacks) == 2
    assert SECRET not in repr(settings)
    with pytest.raises(ValidationError, match="1m to 1d"):
        ReceiverSettings.model_validate({"FALLBACK_AFTER": "10s"})
