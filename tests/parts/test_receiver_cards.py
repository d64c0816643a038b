"""What arrives at Discord: one true card, no ping that was not meant, nothing secret in any log."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from receiver.store import messages
from receiver.telling.note import Note
from tests.parts.exporter_kit import NOWHERE
from tests.parts.receiver_kit import (
    Running,
    alert,
    application,
    body,
    ended,
    policy_text,
    receiver,
    step,
    texts,
)
from tests.standins.discord import Discord
from tests.standins.discord_message import Message

QUIET = policy_text("""
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: none}
""")
SECRETS = {"WEBHOOK_TOKEN": "s3cret-webhook", "BOARD_TOKEN": "s3cret-board"}
GITHUB = {"GITHUB_TOKEN": "s3cret-github", "GITHUB_REPO": "owner/app"}


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


def title(message: Message) -> str:
    return str(message.embeds[0]["title"])


def cards(discord: Discord) -> list[Message]:
    """What is no short message beside a card."""
    return [message for message in discord.messages if message.embeds]


def over(discord: Discord) -> bool:
    return bool(discord.messages) and title(discord.messages[0]).startswith("🟢 Over")


async def settle(running: Running) -> None:
    """Until nothing waits to be told."""
    database = running.receiver._database
    waiting = "SELECT count(*) FROM messages WHERE revision > delivered"
    deadline = time.monotonic() + 60
    while await database.run(lambda c: c.execute(waiting).fetchone()[0]):
        assert time.monotonic() < deadline, "the outbox did not become empty"
        await running.get("/healthz")


async def test_one_card_is_made_then_edited_to_its_end(tmp_path: Path, discord: Discord) -> None:
    async with receiver(tmp_path, QUIET, DISCORD_WEBHOOK_URL=discord.url) as running:
        for _ in range(3):
            await running.post(body())
        await discord.wait_until(lambda d: d.messages)
        await running.post(body())
        await running.post(body(alert(status="resolved")))
        await discord.wait_until(over)
        await settle(running)
    message, note = discord.messages
    assert message.pings.roles == ("4242",)
    assert not message.pings.users
    assert not message.pings.everyone
    assert not message.pings.silent
    assert sorted(r.method for r in discord.requests) == ["PATCH", "POST", "POST"]
    assert note.pings.silent
    assert not note.pings
    assert note.content.startswith("**🟢 Over: ServiceDown happens**\nIncident 1 ended after ")


HOSTILE = (
    "@everyone <@123> <@&9> [x](https://evil.example) **b** ```\x00\x1b[2J\u202e\u2066\u202e||s||"
)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": {"alertname": HOSTILE, "severity": "critical", "service": HOSTILE}},
        {"annotations": dict.fromkeys(("summary", "description", "runbook_url"), HOSTILE)},
        {"annotations": {"summary": "x" * 100_000, "description": "@here " * 20_000}},
        {"annotations": {"runbook_url": "javascript:alert(1)", "dashboard_url": "https://a b"}},
        {"labels": {}, "annotations": {}},
        {"labels": {"severity": "critical"}},
        {"labels": {"alertname": "", "severity": "critical", "service": ""}},
        {"labels": {"alertname": "\n\r\t", "severity": "critical"}},
        {"labels": {"alertname": "e\u0301" * 4000 + "👩‍👩‍👧" * 500, "severity": "critical"}},
        {"startsAt": "0001-01-01T00:00:00Z"},
        {"startsAt": "9999-12-31T23:59:59.999999999Z"},
    ],
    ids=",".join,
)
async def test_whatever_the_labels_say_the_card_is_clean(
    tmp_path: Path, discord: Discord, changes: dict[str, Any]
) -> None:
    with capture_logs() as logs:
        async with receiver(tmp_path, QUIET, DISCORD_WEBHOOK_URL=discord.url) as running:
            assert (await running.post(body(alert(**changes))))[0] == 200
            await settle(running)
            assert (await running.get("/"))[0] == 200
            assert len(await running.incidents()) == 1
    (message,) = discord.messages
    assert [r.status for r in discord.requests] == [200]
    assert set(message.pings.roles) <= {"4242"}
    assert not message.pings.users
    assert not message.pings.everyone
    for text in texts(message.body):
        assert not {"\x00", "\x1b", "\u202e", "\u2066"} & set(text)
        assert "javascript:" not in text
    footer = message.embeds[0]["footer"]["text"]  # Discord shows it as plain text
    assert "](https://evil" not in "".join(texts(message.body)).replace(footer, "")
    assert not [entry for entry in logs if "exc_info" in entry or entry["log_level"] == "error"]


async def test_a_note_about_no_incident_is_told_once(tmp_path: Path, discord: Discord) -> None:
    async with receiver(tmp_path, QUIET, DISCORD_WEBHOOK_URL=discord.url) as running:
        discord.fail_next(503)
        note, now = Note(title="Maintenance begins"), datetime.now(UTC)
        await running.receiver._database.run(lambda c: messages.add_note(c, note, "discord", now))
        running.duty.worker.told.set()
        await settle(running)
    assert [title(message) for message in discord.messages] == ["Maintenance begins"]


async def test_a_thousand_alerts_are_one_card(tmp_path: Path, discord: Discord) -> None:
    def thousand(status: str) -> dict[str, Any]:
        return body(
            *(
                alert(status=status, fingerprint=f"f{n}", annotations={"summary": f"number {n}"})
                for n in range(1000)
            )
        )

    async with receiver(tmp_path, QUIET, DISCORD_WEBHOOK_URL=discord.url) as running:
        assert (await running.post(thousand("firing")))[1]["alerts"] == 1000
        await settle(running)
        assert (await running.post(thousand("resolved")))[0] == 200
        await discord.wait_until(over)
    assert len(cards(discord)) == 1


@pytest.mark.parametrize("trouble", ["503", "429", "html", "slow", "gone for a while"])
async def test_after_trouble_there_is_one_true_card(
    tmp_path: Path, discord: Discord, trouble: str
) -> None:
    match trouble:
        case "503":
            discord.fail_next(503, times=2)
        case "429":
            discord.fail_next(429, retry_after=0.2, times=2)
        case "html":
            discord.fail_next(502, html=True, times=1)
        case "slow":
            discord.stall(1.5, times=2)
        case _:
            await discord.stop()
    url = discord.url
    with capture_logs() as logs:
        async with receiver(tmp_path, QUIET, DISCORD_WEBHOOK_URL=url) as running:
            await running.post(body())
            await running.post(body(alert(status="resolved")))
            await running.until(lambda i: i["state"] == "resolved", "the end")
            if trouble == "gone for a while":
                await running.until(
                    lambda i: any(e["kind"] == "not told" for e in i["events"]), "a failure"
                )
                await discord.start()
            await settle(running)
    (message,) = cards(discord)
    assert title(message).startswith("🟢 Over")
    assert not [entry for entry in logs if "exc_info" in entry]


LADDER = policy_text("""
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: none, steps: [person @0s]}
  - {alert: DiskFull, severity: critical, discord: now, confirm: none}
  - {alert: Slow, severity: warning, discord: grouped, confirm: none}
""")


@pytest.mark.parametrize("ends", [True, False])
async def test_a_long_outage_leaves_no_flood(tmp_path: Path, discord: Discord, ends: bool) -> None:
    """Twenty incidents, each with a call for a person, while Discord is away."""
    services = [f"s{number}" for number in range(20)]

    def every(status: str) -> dict[str, Any]:
        return body(
            *(
                alert(
                    status=status,
                    fingerprint=service,
                    labels={"alertname": "ServiceDown", "severity": "critical", "service": service},
                )
                for service in services
            )
        )

    url = discord.url
    await discord.stop()
    async with receiver(tmp_path, LADDER, DISCORD_WEBHOOK_URL=url) as running:
        await running.post(every("firing"))
        await running.until(ended("person", "done"), "the last call")
        if ends:
            await running.post(every("resolved"))
            await running.until(lambda i: i["state"] == "resolved", "the end")
        await discord.start()
        running.duty.worker.told.set()
        await settle(running)
        trail = [e["kind"] for i in await running.incidents() for e in i["events"]]
    assert len(discord.messages) == len(services), "one true card each, and no call or note beside"
    for message in discord.messages:
        assert bool(message.pings.roles) is not ends
        assert title(message).startswith("🟢 Over") is ends
    assert trail.count("not told any more") == len(services) * (2 if ends else 1)
    assert 'notifications_total{notifier="discord",outcome="dropped"}' in running.metrics()


async def test_now_without_a_mention_is_a_push_and_grouped_is_silent(
    tmp_path: Path, discord: Discord
) -> None:
    async with receiver(tmp_path, LADDER, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.post(body(alert("Slow", labels=_labels("Slow", "warning", "a"))))
        await running.post(body(alert("DiskFull", labels=_labels("DiskFull", "critical", "b"))))
        await settle(running)
        slow, full = discord.messages
        assert (bool(slow.pings), slow.pings.silent, slow.content) == (False, True, "")
        assert (bool(full.pings), full.pings.silent) == (False, False)
        assert full.content == full.embeds[0]["title"]
        # What joins a silent card and should be heard gets a message beside it, as loud as itself.
        await running.post(
            body(alert("DiskFull", fingerprint="c", labels=_labels("DiskFull", "critical", "a")))
        )
        await settle(running)
        beside = discord.messages[2]
        assert (bool(beside.pings), beside.pings.silent, beside.embeds) == (False, False, [])
        assert "DiskFull" in beside.content


def _labels(name: str, severity: str, service: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "service": service}


async def test_what_a_deleted_webhook_did_not_take_goes_to_its_successor(
    tmp_path: Path, discord: Discord
) -> None:
    discord.default.deleted = True
    async with receiver(tmp_path, LADDER, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.post(body())
        await running.until(lambda i: "not told" in [e["kind"] for e in i["events"]], "a refusal")
        await running.until(ended("person", "done"), "the call")
        assert "outbox_depth 2.0" in running.metrics(), "OutboxStuck sees it"
    fresh = discord.url_of(discord.add_webhook())
    async with receiver(tmp_path, LADDER, DISCORD_WEBHOOK_URL=fresh) as running:
        await settle(running)
    (message,) = discord.messages
    assert message.pings.roles == ("4242",)


async def test_a_webhook_that_is_gone_stops_nothing(tmp_path: Path, discord: Discord) -> None:
    discord.default.deleted = True
    async with receiver(tmp_path, QUIET, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.post(body())
        told = await running.until(
            lambda i: any(e["kind"] == "not told" for e in i["events"]), "the refusal"
        )
        assert "10015" in json.dumps(told) or "Unknown Webhook" in json.dumps(told)
        await running.post(body(alert(status="resolved")))
        await running.until(lambda i: i["state"] == "resolved", "the end")


async def test_a_resolution_that_our_own_look_denies_is_no_end(
    tmp_path: Path, discord: Discord
) -> None:
    """Alertmanager resolves alerts by itself when Prometheus has died."""
    async with receiver(tmp_path, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.post(body(alert("SoonAPerson")))
        await running.post(body(alert("SoonAPerson", "resolved")))
        incident = await running.until(ended("person", "done"), "the call")
        assert incident["state"] == "open"
        assert "does not agree" in incident["verdict"]
        await discord.wait_until(lambda d: len(d.messages) == 2)
    call = discord.messages[1]
    assert call.pings.roles == ("4242",)
    assert "Anna 0151 234" in call.content


async def test_an_end_that_cannot_be_confirmed_calls_a_person(
    tmp_path: Path, discord: Discord
) -> None:
    async with receiver(
        tmp_path, DISCORD_WEBHOOK_URL=discord.url, PROMETHEUS_URL=NOWHERE
    ) as running:
        await running.post(body(alert("NeedsPrometheus")))
        await running.post(body(alert("NeedsPrometheus", "resolved")))
        incident = await running.until(ended("person", "done", "dropped"), "the call")
        assert (incident["state"], step(incident, "person")["state"]) == ("open", "done")


async def test_an_end_that_our_own_look_confirms(tmp_path: Path, discord: Discord) -> None:
    async with (
        application() as app,
        receiver(tmp_path, APP_URL=app.url, DISCORD_WEBHOOK_URL=discord.url) as running,
    ):
        await running.post(body(alert("SoonAPerson")))
        await running.post(body(alert("SoonAPerson", "resolved")))
        incident = await running.until(lambda i: i["state"] == "resolved", "the end")
        await discord.wait_until(over)
    assert step(incident, "person")["state"] in ("dropped", "done")
    assert "answers" in incident["verdict"]


async def test_no_secret_is_logged(tmp_path: Path, discord: Discord) -> None:
    discord.fail_next(401, 50027)
    settings = {**SECRETS, **GITHUB, "DISCORD_WEBHOOK_URL": discord.url}
    with capture_logs() as logs:
        async with receiver(tmp_path, **settings) as running:
            await running.post(body())
            await running.post(b"?", Authorization="Bearer s3cret-guess")
            await running.post(body(), Authorization="Bearer s3cret-webhook")
            status, text = await running.get("/", Authorization="Bearer s3cret-board")
            assert status == 200
            waiting = "SELECT count(*) FROM events WHERE kind = 'not told'"
            database = running.receiver._database
            deadline = time.monotonic() + 60
            while not await database.run(lambda c: c.execute(waiting).fetchone()[0]):
                assert time.monotonic() < deadline
                await running.get("/healthz")
            shown = text + running.metrics()
    told = json.dumps(logs, default=str) + shown
    assert "s3cret" not in told
    assert discord.default.token not in told
