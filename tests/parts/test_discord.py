"""Cards over real HTTP, to the stand-in for Discord."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import aiohttp
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from receiver.http import Http, open_session
from receiver.notifiers import configured
from receiver.records import Ring
from receiver.telling.note import Field, Note
from tests.parts.discord_client import OVER, VIEW, WEBHOOK, discord
from tests.parts.outgoing import Time, refusal
from tests.standins.discord import Discord as StandIn


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_session() as session:
        yield Http(session)


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn() as running:
        yield running


async def test_a_card_is_created_with_a_ping_then_edited_in_place(
    http: Http, standin: StandIn
) -> None:
    notifier = discord(http, standin.url)
    first = await notifier.send(VIEW, None, ring=Ring.MENTION)
    second = await notifier.send(OVER, first, ring=Ring.SILENT)
    assert first == second == standin.messages[0].id
    assert len(standin.messages) == 1
    created, edited = standin.messages[0].versions
    assert created.mentions.roles == ("4242",)
    assert not created.mentions.silent
    assert not edited.mentions
    assert edited.body["embeds"][0]["title"].startswith("🟢 Over")
    assert [seen.method for seen in standin.requests] == ["POST", "PATCH"]
    assert standin.requests[0].path.endswith("?wait=true&with_components=true")
    agent = standin.requests[0].headers["User-Agent"]
    assert agent.startswith("DiscordBot (https://")


async def test_without_a_ping_a_new_card_is_silent(http: Http, standin: StandIn) -> None:
    await discord(http, standin.url).send(VIEW, None, ring=Ring.SILENT)
    (message,) = standin.messages
    assert message.versions[0].body["flags"] == 4096
    assert not message.pings
    assert message.content == ""


async def test_a_call_rings_beside_the_card_and_says_whom_to_reach(
    http: Http, standin: StandIn
) -> None:
    notifier = discord(http, standin.url)
    called = replace(VIEW, person_called=True, contacts="Anna 0151 @everyone")
    card = await notifier.send(VIEW, None, ring=Ring.SILENT)
    call = await notifier.call(called, ring=Ring.MENTION)
    assert [message.id for message in standin.messages] == [card, call]
    message = standin.messages[1]
    assert (message.pings.roles, message.pings.everyone, message.pings.silent) == (
        ("4242",),
        False,
        False,
    )
    assert "a person is needed" in message.content
    assert "Anna 0151" in message.content
    assert message.embeds == []
    standin.lose_answer()
    assert (await refusal(notifier.call(called, ring=Ring.MENTION))).ambiguous


async def test_a_thread_is_kept_for_every_request(http: Http) -> None:
    async with StandIn(threads=("55",)) as standin:
        notifier = discord(http, f"{standin.url}?thread_id=55")
        first = await notifier.send(VIEW, None, ring=Ring.SILENT)
        assert await notifier.send(OVER, first, ring=Ring.SILENT) == first
        assert standin.messages[0].thread_id == "55"


async def test_a_deleted_card_is_made_anew(http: Http, standin: StandIn) -> None:
    notifier = discord(http, standin.url)
    first = await notifier.send(VIEW, None, ring=Ring.MENTION)
    standin.messages[0].deleted = True
    second = await notifier.send(OVER, first, ring=Ring.SILENT)
    assert second != first
    assert second == standin.messages[1].id
    assert not standin.messages[1].pings


async def test_a_card_too_old_to_edit_is_made_anew(http: Http) -> None:
    async with StandIn(old_edits_allowed=0, clock=(time := Time())) as standin:
        notifier = discord(http, standin.url, time)
        first = await notifier.send(VIEW, None, ring=Ring.SILENT)
        time.now += 3601
        assert await notifier.send(OVER, first, ring=Ring.SILENT) == standin.messages[1].id
        standin.fail_next(400, 30046, method="PATCH")
        assert await notifier.send(OVER, first, ring=Ring.SILENT) == standin.messages[2].id


async def test_the_id_of_another_notifier_is_no_message(http: Http, standin: StandIn) -> None:
    assert (
        await discord(http, standin.url).send(VIEW, "dry-12", ring=Ring.SILENT)
        == standin.messages[0].id
    )


@dataclass(frozen=True)
class Destination:
    discord_webhook_url: SecretStr | None
    discord_mention: str | None = None


async def test_what_is_not_configured_is_dry() -> None:
    async with aiohttp.ClientSession() as session:
        (dry,) = configured(Http(session), Destination(None))
        with capture_logs() as logs:
            assert await dry.send(VIEW, None, ring=Ring.MENTION) == "dry-12"
            assert await dry.send(OVER, "dry-12", ring=Ring.SILENT) == "dry-12"
            await dry.call(VIEW, ring=Ring.MENTION)
        events = [entry["event"] for entry in logs]
        assert events == ["card_created", "card_edited", "person_called"]
        assert "v1 runs again" in logs[1]["card"]
        url = SecretStr(f"https://discord.com{WEBHOOK}")
        assert [n.name for n in configured(Http(session), Destination(url))] == ["discord"]


async def test_a_note_is_a_silent_message_unless_it_rings(http: Http, standin: StandIn) -> None:
    notifier = discord(http, standin.url)
    field = Field(name="Uptime", value="99.9 %")
    for ring in Ring:
        note = Note(title="Digest", text="All **quiet**.", severity="info", fields=[field])
        assert await notifier.post(note, ring=ring) == standin.messages[-1].id
    quiet, seen, ringing = standin.messages
    pings = ringing.versions[0].mentions
    assert not quiet.versions[0].mentions
    assert quiet.versions[0].mentions.silent
    assert (pings.roles, pings.silent) == (("4242",), False)
    assert (seen.pings.roles, seen.pings.silent) == ((), False)
    assert quiet.embeds[0]["description"] == "All **quiet**."
    assert quiet.embeds[0]["fields"][0]["value"] == "99.9 %"


async def test_whatever_a_note_says_discord_accepts_it(http: Http, standin: StandIn) -> None:
    for text in ("😀" * 9000, "@everyone <@1> \u202e", "\x00", ""):
        fields = [Field(name=text or "x", value=text or "x")] * 30
        await discord(http, standin.url).post(
            Note(title=text or "x", text=text, fields=fields), ring=Ring.SILENT
        )
    assert len(standin.messages) == 4
    assert not any(message.versions[0].mentions for message in standin.messages)


async def test_a_note_to_a_webhook_that_is_gone(http: Http, standin: StandIn) -> None:
    gone = discord(http, f"{standin.url[:-4]}gone")
    error = await refusal(gone.post(Note(title="x"), ring=Ring.SILENT))
    assert error.permanent
    assert "does not exist any more" in error.words
