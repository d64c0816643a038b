"""The evidence of a container that crashes: collected, kept, on the card as a file, once, without secrets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from receiver.actions import investigate
from tests.parts.receiver_kit import Running, alert, body, ended, policy_text, receiver, step
from tests.parts.scripted_engine import ScriptedEngine
from tests.parts.test_receiver_cards import settle
from tests.standins.discord import Discord

NAME = "sermon-uploader-backend"
SECRET = "hunter2-S3cr3t"
POLICY = policy_text("""
  - {alert: Crashing, category: container, severity: critical, discord: now, mention: true, confirm: none,
     steps: [investigate @0s, person @0s]}
  - {alert: Restarting, category: container, severity: warning, discord: grouped, confirm: none,
     steps: [investigate @0s]}
""")


def frame(stream: int, text: str) -> bytes:
    data = f"2026-03-01T10:00:02.5Z {text}\n".encode()
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.fixture
async def discord() -> AsyncIterator[Discord]:
    async with Discord(rate_limit=(1000, 1.0)) as standin:
        yield standin


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[ScriptedEngine]:
    async with ScriptedEngine(tmp_path / "engine.sock").serving() as scripted:
        scripted.add("c1", NAME, ExitCode=137, OOMKilled=True, Status="exited", Running=False)
        scripted.containers["c1"] |= {
            "RestartCount": 4,
            "Config": {
                "Image": "app:v1",
                "Env": ["PORT=8000", f"MINIO_SECRET_KEY={SECRET}"],
                "Labels": {},
            },
            "HostConfig": {"Memory": 512 * 2**20, "RestartPolicy": {"Name": "unless-stopped"}},
            "Mounts": [{"Type": "bind", "Source": "/opt/minio-data", "Destination": "/data"}],
        }
        log = [frame(1, f"line {n}") for n in range(3)] + [frame(2, f"panic: used {SECRET} twice")]
        scripted.raw["/containers/c1/logs"] = b"".join(log)
        scripted.history = [scripted.tell("oom", "c1", 10**18), scripted.tell("die", "c1", 10**18, exitCode="137")]  # fmt: skip
        scripted.add("c2", "somebody-elses")
        scripted.raw["/containers/c2/logs"] = frame(1, "none of our business")
        yield scripted


def crash(name: str = NAME, alertname: str = "Crashing", **changes: Any) -> dict[str, Any]:
    labels = {"alertname": alertname, "severity": "critical", "service": "s", "name": name}
    return alert(alertname, labels=labels, **changes)


async def evidence(running: Running, incident: int = 1) -> list[dict[str, Any]]:
    status, text = await running.get(f"/api/incidents/{incident}/evidence")
    assert status == 200, text
    found: list[dict[str, Any]] = json.loads(text)["evidence"]
    return found


async def test_it_is_collected_kept_and_attached_once(
    tmp_path: Path, discord: Discord, engine: ScriptedEngine
) -> None:
    async with receiver(
        tmp_path, POLICY, DISCORD_WEBHOOK_URL=discord.url, DOCKER_HOST=engine.host
    ) as running:
        await running.post(body(crash()))
        incident = await running.until(ended("investigate", "done"), "the evidence")
        await running.until(ended("person", "done"), "the call")
        await settle(running)
        (kept,) = await evidence(running)
        assert (await running.get("/api/incidents/9/evidence"))[0] == 404
        # What is told later keeps it, also when the record of the attachment was lost in a crash.
        database = running.receiver._database
        lost = "UPDATE evidence SET message_id = NULL, attachment_id = NULL"
        await database.run(lambda c: c.execute(lost))
        await running.post(body(crash(alertname="Other", fingerprint="o")))
        again = "UPDATE messages SET revision = revision + 1 WHERE kind = 'files'"
        await database.run(lambda c: c.execute(again))
        await settle(running)
        await running.post(body(crash(alertname="Another", fingerprint="p")))
        await settle(running)
    assert "exit code 137" in step(incident, "investigate")["words"]
    assert "out of memory" in step(incident, "investigate")["words"]
    card = next(message for message in discord.messages if message.embeds)
    (attached,) = card.attachments
    assert attached["filename"] == f"evidence-1-1-{NAME}.txt" == kept["file"]
    assert len(card.files) == 1, "uploaded once"
    text = card.files[attached["id"]].decode()
    assert text == kept["text"]
    for wanted in (
        "asked for by Crashing",
        "exit code 137: killed (SIGKILL",
        "out of memory (its last run): yes",
        "restarts by its policy: 4 (unless-stopped)",
        "memory limit: 512 MiB",
        "environment: MINIO_SECRET_KEY, PORT",
        "E panic: used [redacted] twice",
        "Last 4 lines of its log",
        "load: ",
        "disk /: ",
    ):
        assert wanted in text, (wanted, text)
    assert SECRET not in text


async def test_a_card_that_was_deleted_gets_its_files_again(
    tmp_path: Path, discord: Discord, engine: ScriptedEngine
) -> None:
    async with receiver(
        tmp_path, POLICY, DISCORD_WEBHOOK_URL=discord.url, DOCKER_HOST=engine.host
    ) as running:
        await running.post(body(crash(alertname="Restarting")))
        await discord.wait_until(lambda d: d.messages and d.messages[0].attachments, 60)
        await settle(running)
        discord.messages[0].deleted = True
        await running.post(body(crash(alertname="Other", fingerprint="o")))
        await discord.wait_until(lambda d: len(d.messages) > 1 and d.messages[-1].attachments, 60)
        await settle(running)
    anew = next(m for m in discord.messages[1:] if m.embeds)
    assert [one["filename"] for one in anew.attachments] == [f"evidence-1-1-{NAME}.txt"]


async def test_a_refused_upload_leaves_the_card_alone(
    tmp_path: Path, discord: Discord, engine: ScriptedEngine
) -> None:
    async with receiver(
        tmp_path, POLICY, DISCORD_WEBHOOK_URL=discord.url, DOCKER_HOST=engine.host
    ) as running:
        discord.fail_next(413, 40005, method="GET")
        await running.post(body(crash(alertname="Restarting")))
        told = await running.until(
            lambda i: "not told" in [e["kind"] for e in i["events"]], "the refusal"
        )
        await settle(running)
        assert len(await evidence(running)) == 1
    assert "413" in json.dumps(told)
    assert len(discord.messages) == 1


async def test_an_engine_that_does_not_answer_holds_nothing_up(
    tmp_path: Path, discord: Discord, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(investigate, "TRY_AGAIN", timedelta(milliseconds=50))
    monkeypatch.setattr(investigate, "MOST_TRIES", 2)
    engine.hung.add("*")
    async with receiver(
        tmp_path, POLICY, DISCORD_WEBHOOK_URL=discord.url, DOCKER_HOST=engine.host
    ) as running:
        await running.post(body(crash()))
        incident = await running.until(ended("person", "done"), "the call")
        assert step(incident, "investigate")["state"] == "running", "the ladder did not wait"
        incident = await running.until(ended("investigate", "failed"), "the end of the tries")
        await settle(running)
        (kept,) = await evidence(running)
    assert "does not answer" in step(incident, "investigate")["words"]
    assert "only the machine's state" in step(incident, "investigate")["words"]
    assert "load: " in kept["text"]


async def test_an_incident_ends_while_evidence_is_still_collected(
    tmp_path: Path, discord: Discord, engine: ScriptedEngine
) -> None:
    engine.hung.add("*")
    async with receiver(
        tmp_path, POLICY, DISCORD_WEBHOOK_URL=discord.url, DOCKER_HOST=engine.host
    ) as running:
        await running.post(body(crash(alertname="Restarting")))
        await running.until(ended("investigate", "running"), "its beginning")
        await running.post(body(crash(alertname="Restarting", status="resolved")))
        over = await running.until(lambda i: i["state"] == "resolved", "the end")
    assert "investigate" not in over["verdict"]


@pytest.mark.parametrize("name", ["somebody-elses", "nobody", "../../etc/passwd", "", "x" * 500])
async def test_only_the_applications_own_containers_are_looked_at(
    tmp_path: Path, discord: Discord, engine: ScriptedEngine, name: str
) -> None:
    async with receiver(
        tmp_path, POLICY, DISCORD_WEBHOOK_URL=discord.url, DOCKER_HOST=engine.host
    ) as running:
        await running.post(body(crash(name, "Restarting")))
        incident = await running.until(ended("investigate", "done", "failed"), "the evidence")
        (kept,) = await evidence(running)
    assert "none of our business" not in kept["text"]
    known = name in ("", "x" * 500, "../../etc/passwd")  # no container's name: the application's
    assert (step(incident, "investigate")["state"] == "done") is known
    assert not engine.asked["/containers/c2/logs"]


def investigated(wanted: list[str], incident: dict[str, Any]) -> bool:
    return [s["state"] for s in incident["steps"] if s["action"] == "investigate"] == wanted


async def test_it_is_not_collected_over_and_over(
    tmp_path: Path, discord: Discord, engine: ScriptedEngine
) -> None:
    async with receiver(
        tmp_path, POLICY, DISCORD_WEBHOOK_URL=discord.url, DOCKER_HOST=engine.host
    ) as running:
        for number, alertname in enumerate(("Restarting", "Crashing")):
            await running.post(body(crash(alertname=alertname, fingerprint=f"f{number}")))
            wanted = ["done"] * (number + 1)
            incident = await running.until(partial(investigated, wanted), "the evidence")
        assert len(await evidence(running)) == 1
    assert "it has just been collected" in step(incident, "investigate")["words"]
    assert incident["ladder_at"] is not None
