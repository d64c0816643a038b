"""The worker with nothing around it: what is refused, in which words, and that a person is called."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts.exporter_kit import NOWHERE
from tests.parts.receiver_kit import (
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

GITHUB = {"GITHUB_TOKEN": "t0k", "GITHUB_REPO": "owner/app", "GITHUB_API_URL": NOWHERE}


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


def said(discord: Discord) -> str:
    """All that any card says, without the marks that keep markdown away."""
    return "\n".join(one for m in discord.messages for one in texts(m.body)).replace("\\", "")


async def test_without_an_engine_a_rollback_waits_and_a_person_is_called_in_time(
    tmp_path: Path, discord: Discord
) -> None:
    rows = """
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: probe,
     steps: [rollback @0m, person @1s]}
"""
    policy = policy_text(rows)
    async with receiver(tmp_path, policy, DISCORD_WEBHOOK_URL=discord.url, **GITHUB) as running:
        await running.post(body())
        incident = await running.until(ended("person", "done"), "the call")
        await discord.wait_until(lambda d: len(d.messages) == 2)
        assert 'refusals_total{gate="known-good target"} 1.0' in running.metrics()
    rollback = step(incident, "rollback")
    assert rollback["state"] == "pending"
    assert "does not answer" in rollback["words"]
    (call,) = [m for m in discord.messages if not m.embeds]
    assert call.pings.roles == ("4242",)
    assert "Anna 0151 234" in call.content
    assert "is needed" in call.content


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"AUTO_ROLLBACK_ENABLED": "false"}, "AUTO_ROLLBACK_ENABLED is false"),
        ({"ROLLBACK_ON_HEALTH_FAILURE": "false"}, "ROLLBACK_ON_HEALTH_FAILURE is false"),
        ({"MAX_ROLLBACKS_PER_DAY": "0"}, "MAX_ROLLBACKS_PER_DAY is 0"),
    ],
)
async def test_a_refusal_stands_in_words_everywhere(
    tmp_path: Path, discord: Discord, settings: dict[str, str], words: str
) -> None:
    async with receiver(tmp_path, DISCORD_WEBHOOK_URL=discord.url, **settings) as running:
        await running.post(body())
        incident = await running.until(ended("rollback", "refused"), "the refusal")
        assert words in step(incident, "rollback")["words"]
        assert any(words in event["words"] for event in incident["events"])
        assert words in (await running.get("/"))[1]
        await discord.wait_until(lambda d: words in said(d))


async def test_a_restart_waits_for_the_engine_and_tells_why(
    tmp_path: Path, discord: Discord
) -> None:
    async with receiver(tmp_path, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.post(body(alert("NeedsRestart")))
        incident = await running.until(
            lambda i: step(i, "restart").get("words"), "a reason to wait"
        )
        restart = step(incident, "restart")
        assert restart["state"] == "pending"
        assert str(tmp_path) in restart["words"]


async def test_nothing_is_done_while_our_own_look_disagrees(
    tmp_path: Path, discord: Discord
) -> None:
    """The application answers: the probe, not the alert, decides."""
    async with (
        application() as app,
        receiver(tmp_path, APP_URL=app.url, DISCORD_WEBHOOK_URL=discord.url) as running,
    ):
        await running.post(body())
        incident = await running.until(
            lambda i: step(i, "rollback").get("words"), "a reason to wait"
        )
    rollback = step(incident, "rollback")
    assert rollback["state"] == "pending"
    assert rollback["words"].startswith("our own look disagrees: ")


async def test_an_incident_that_our_code_cannot_handle_keeps_no_other_waiting(
    tmp_path: Path, discord: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver(tmp_path, DISCORD_WEBHOOK_URL=discord.url) as running:
        worker = running.duty.worker
        handle = worker.handle

        async def faulty(incident_id: int) -> None:
            if incident_id == 1:
                raise ZeroDivisionError("a fault of ours")
            await handle(incident_id)

        monkeypatch.setattr(worker, "handle", faulty)
        first = alert("SoonAPerson", labels={"alertname": "SoonAPerson", "service": "one"})
        second = alert(
            "SoonAPerson",
            labels={"alertname": "SoonAPerson", "service": "two"},
            fingerprint="other",
        )
        await running.post(body(first, second))
        incident = await running.until(ended("person", "done"), "the second one's call")
        assert incident["service"] == "two"
        (told,) = [i for i in await running.incidents() if i["service"] == "one"]
        assert any(event["kind"] == "internal fault" for event in told["events"])


async def test_work_goes_on_where_it_was_left(tmp_path: Path, discord: Discord) -> None:
    """A start finds what is due in the store: nothing hangs on a webhook coming again."""
    rows = """
  - {alert: ServiceDown, severity: critical, discord: now, mention: true, confirm: none,
     steps: [person @2s]}
"""
    policy = policy_text(rows)
    async with receiver(tmp_path, policy, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.post(body())
    async with receiver(tmp_path, policy, DISCORD_WEBHOOK_URL=discord.url) as running:
        await running.until(ended("person", "done"), "the call")
        await discord.wait_until(lambda d: len(d.messages) == 2)
    assert [bool(m.pings) for m in discord.messages] == [True, True]
