"""The rollback by this machine itself, on a real compose project: where GitHub cannot do it, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from receiver.approving.approvals import Choice, decide
from receiver.approving.wording import title
from receiver.store import approvals
from sermon_monitor.first_backup import save_first
from target.deploy import LOCK_NAME
from target.engine import Engine
from target.lock import exclusive
from target.settings import DeploymentSettings
from target.version_keeper import LedgerFile
from target.versions import known_good_reference
from tests.conftest import AppImages
from tests.parts.deployment.kit import WORKFLOW, history
from tests.parts.exporter_kit import NOWHERE
from tests.parts.receiver_kit import Running, body, ended, policy_text, receiver, step
from tests.real.engine import DockerEngine
from tests.real.images import AppImage, app_image
from tests.real.project import APP, MINIO, Project
from tests.standins.discord import Discord
from tests.standins.github import GitHub, Script

pytestmark = pytest.mark.engine
HAND = "on the host, type: sermon-recovery rollback"


@pytest.fixture(scope="module")
def crashing(engine: DockerEngine, python_image: str) -> AppImage:
    return app_image(engine, "sermon-uploader:crash", revision="c3" * 20, behaviour="crash")


@dataclass
class Here:
    """A deployment that runs v2, which is broken, though v1 was good; and what a receiver needs around it."""

    project: Project
    settings: DeploymentSettings
    client: Engine
    images: AppImages
    discord: Discord
    github: GitHub

    def receiver(
        self, mode: str = "auto", *, timing: dict[str, str] | None = None, **more: Any
    ) -> AbstractAsyncContextManager[Running]:
        given = {
            "DOCKER_HOST": self.project.engine.host,
            "APP_URL": self.project.app_url,
            "COMPOSE_PROJECT_DIR": self.project.directory,
            "BACKUP_DIR": self.settings.backup_dir,
            "APP_SERVICE": APP,
            "DISCORD_WEBHOOK_URL": self.discord.url,
            "GITHUB_TOKEN": self.github.token,
            "GITHUB_REPO": self.github.repository,
            "GITHUB_API_URL": self.github.base_url,
        }
        # The bound is generous: a busy machine may take its time to start a container.
        policy = policy_text(local=mode, **({"verify_deadline": "120s"} | (timing or {})))
        return receiver(self.settings.state_dir.parent, policy, **(given | more))

    def file(self) -> Path:
        """The settings, for what the receiver starts."""
        path = self.settings.state_dir.parent / "settings"
        lines = {
            "COMPOSE_PROJECT_DIR": self.project.directory,
            "BACKUP_DIR": self.settings.backup_dir,
            "STATE_DIR": self.settings.state_dir,
            "DOCKER_HOST": self.project.engine.host,
        }
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        return path

    async def image(self) -> str:
        return (await asyncio.to_thread(self.client.container, APP)).image_id

    async def done(self, running: Running) -> dict[str, Any]:
        """Post the alert; the incident once its rollback is done, by this machine, and proved."""
        await running.post(body())
        incident = await running.until(ended("rollback", "done", "failed", "refused"), "the end")
        rollback = step(incident, "rollback")
        assert rollback["state"] == "done", rollback
        assert (
            "v1 (a1a1a1a) runs again: its version and its health are verified"
            in incident["verdict"]
        )
        assert await self.image() == self.images.v1.id
        text = self.project.compose_file.read_text()
        pinned = known_good_reference("app", self.images.v1.id)
        assert f"image: {pinned} # sermon-monitor: was {self.images.v2.tag}\n" in text
        return incident

    async def failed(self, running: Running, state: str = "failed") -> str:
        """Post the alert; the rollback's words once it came to nothing and a person was called."""
        await running.post(body())
        incident = await running.until(ended("rollback", state, "done"), "the failure")
        await running.until(ended("person", "done"), "the call")
        await self.discord.wait_until(lambda d: any(not m.embeds for m in d.messages), 60)
        assert step(incident, "rollback")["state"] == state
        return str(step(incident, "rollback")["words"])


@pytest.fixture
async def here(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> AsyncIterator[Here]:
    LedgerFile(settings.state_dir / "versions.json").save(history(app_images))
    async with Discord(rate_limit=(1000, 1.0)) as discord, GitHub([WORKFLOW]) as github:
        yield Here(running, settings, client, app_images, discord, github)


NO_TOKEN: dict[str, Any] = {"GITHUB_TOKEN": None, "GITHUB_REPO": None}


async def test_without_github_this_machine_does_it(here: Here) -> None:
    """What it changes is saved first, where that is set up."""
    storage = here.client.container(MINIO).id
    save = partial(save_first, here.settings.backup_dir, here.file())
    here.settings.backup_dir.mkdir()
    before = (here.project.directory / "docker-compose.yml").read_text()
    async with here.receiver(save_first=save, **NO_TOKEN) as running:
        incident = await here.done(running)
        assert "sermon_monitor_rollback_ready 1.0" in running.metrics()
    assert here.client.container(MINIO).id == storage
    (v2,) = [r for r in LedgerFile(here.settings.state_dir / "versions.json").read()[0].releases if r.image_id == here.images.v2.id]  # fmt: skip
    assert v2.verdict == "bad"
    said = " ".join(event["words"] for event in incident["events"])
    for words in ("GITHUB_TOKEN and GITHUB_REPO are not set", "saved in", "docker compose up app"):
        assert words in said, said
    (saved,) = here.settings.backup_dir.glob("before-rollback-*")
    assert (saved / "project" / "docker-compose.yml").read_text() == before


def test_a_backup_that_cannot_be_made_first_holds_up_nothing(tmp_path: Path) -> None:
    assert "is not there" in save_first(tmp_path / "none")
    assert "took longer than 0 s" in save_first(tmp_path, within=0.01)
    (tmp_path / "settings").write_text(f"COMPOSE_PROJECT_DIR={tmp_path}\nBACKUP_DIR={tmp_path}\n")
    assert "no compose file could be saved" in save_first(tmp_path, tmp_path / "settings")
    (tmp_path / "settings").write_text("BACKUP_KEEP_DAILY=many\n")
    assert save_first(tmp_path, tmp_path / "settings").startswith("no backup first: ")


def disabled(github: GitHub) -> None:
    github.set_workflow("rollback.yml", "disabled_manually")


def refused(github: GitHub) -> None:
    github.fail_next(422, method="POST", body={"message": "No ref found for: main"})


def no_runner(github: GitHub) -> None:
    del github.permissions["administration"]
    github.set_runner(online=False)


def invalid(github: GitHub) -> None:
    github.play(Script(conclusion="startup_failure"))


def lost(github: GitHub) -> None:
    github.fail_next(502, method="POST")


def cannot_be_cancelled(github: GitHub) -> None:
    no_runner(github)
    github.fail_next(500, part="/cancel", times=1000)


@pytest.mark.parametrize(
    ("trouble", "timing", "words", "runs"),
    [
        (disabled, {}, "rollback.yml is disabled_manually", []),
        (refused, {}, "GitHub refused the dispatch: GitHub answered 422: No ref found", []),
        (no_runner, {"queue_deadline": "1s"}, "no runner took it in time; run 16000000001 ended as cancelled", ["cancelled"]),
        pytest.param(invalid, {}, "ended as startup_failure", ["startup_failure"], marks=pytest.mark.long),
        pytest.param(lost, {"run_lookup": "300ms", "queue_deadline": "2s"}, "should there be one, it has expired", [], marks=pytest.mark.long),
        pytest.param(cannot_be_cancelled, {"run_lookup": "300ms", "queue_deadline": "1s"}, "it could not be cancelled, but it has expired", [None], marks=pytest.mark.long),
    ],
)  # fmt: skip
async def test_where_github_cannot_do_it_this_machine_does(
    here: Here,
    trouble: Callable[[GitHub], None],
    timing: dict[str, str],
    words: str,
    runs: list[str | None],
) -> None:
    trouble(here.github)
    async with here.receiver(timing=timing) as running:
        incident = await here.done(running)
    said = " ".join(event["words"] for event in incident["events"])
    assert words in said, said
    assert [run.conclusion for run in here.github.runs] == runs
    assert len([s for s in incident["steps"] if s["action"] == "rollback"]) == 1


async def test_a_github_that_is_away_until_the_deadline(here: Here) -> None:
    async with here.receiver(timing={"queue_deadline": "1s"}, GITHUB_API_URL=NOWHERE) as running:
        incident = await here.done(running)
    assert any("could not be reached in time" in event["words"] for event in incident["events"])


async def test_a_run_that_acted_and_failed_is_not_followed_by_another_try(here: Here) -> None:
    here.github.play(Script(conclusion="failure"))
    async with here.receiver() as running:
        words = await here.failed(running)
    assert "ended as failure; look at it, then" in words
    assert HAND in words
    assert await here.image() == here.images.v2.id


async def test_never_is_never(here: Here) -> None:
    refused(here.github)
    async with here.receiver("never") as running:
        words = await here.failed(running)
    assert words.endswith(HAND)
    assert await here.image() == here.images.v2.id


@pytest.mark.parametrize("when", ["before", "after a refusal"])
@pytest.mark.parametrize("choice", ["granted", "denied"])
async def test_approve_asks_a_person(here: Here, when: str, choice: Choice) -> None:
    """Before anything is begun where GitHub is not set up; in the middle where GitHub turned out not to do it."""
    if when == "after a refusal":
        refused(here.github)
    async with here.receiver("approve", **(NO_TOKEN if when == "before" else {})) as running:
        await running.post(body())
        database = running.receiver._database
        async with asyncio.timeout(60):
            while not (asked := await database.run(lambda c: approvals.of_incident(c, 1))):  # noqa: ASYNC110 - it lies in a file
                await asyncio.sleep(0.05)
        assert title(asked[0]) == "Rollback to v1 (a1a1a1a), by this machine itself"
        assert await here.image() == here.images.v2.id
        told = await database.run(lambda c: decide(c, 1, choice, "Anna", datetime.now(UTC)))
        assert told.done, told.words
        running.duty.worker.wake()
        if choice == "granted":
            await running.until(ended("rollback", "done", "failed"), "the end")
            assert await here.image() == here.images.v1.id
        else:
            incident = await running.until(ended("rollback", "failed", "refused"), "the end")
            assert "denied" in step(incident, "rollback")["words"]
            if (
                when == "after a refusal"
            ):  # else the ladder's own call for a person is still to come
                await running.until(ended("person", "done"), "the call")
            assert await here.image() == here.images.v2.id


@pytest.mark.parametrize("lack", ["project", "compose", "commit"])
async def test_what_keeps_this_machine_from_it_is_said(
    here: Here, lack: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: dict[str, Any] = dict(NO_TOKEN)
    if lack == "project":
        more["COMPOSE_PROJECT_DIR"] = tmp_path / "nothing"
        words = "there is no such directory"
    elif lack == "compose":
        monkeypatch.setenv("PATH", str(tmp_path))
        words = "docker compose (version 2 or newer) is not installed"
    else:
        more = {}
        disabled(here.github)
        LedgerFile(here.settings.state_dir / "versions.json").path.unlink()
        here.github.add_deployment(here.images.v1.revision)
        words = "only the commit to go back to is known, not its image"
    async with here.receiver(**more) as running:
        said = await here.failed(running, "refused")
        if lack != "commit":
            assert "sermon_monitor_rollback_ready 0.0" in running.metrics()
    assert "nor can this machine do it: " in said
    assert words in said
    assert HAND in said


async def test_a_version_that_does_not_come_up_is_taken_back(
    here: Here, crashing: AppImage
) -> None:
    file = LedgerFile(here.settings.state_dir / "versions.json")
    whole = history(AppImages(v1=crashing, v2=here.images.v2))
    file.save(whole)
    text = here.project.compose_file.read_bytes()
    async with here.receiver(**NO_TOKEN) as running:
        words = await here.failed(running)
    assert "did not come up" in words
    assert "What ran before runs again" in words
    assert here.project.compose_file.read_bytes() == text
    assert await here.image() == here.images.v2.id


async def test_while_someone_else_is_at_work_it_waits(here: Here) -> None:
    with exclusive(here.project.directory / LOCK_NAME, "Anna, by hand"):
        async with here.receiver(**NO_TOKEN) as running:
            await running.post(body())
            incident = await running.until(
                lambda i: "Anna, by hand" in step(i, "rollback").get("words", ""), "the words"
            )
            assert step(incident, "rollback")["state"] == "running"
            assert await here.image() == here.images.v2.id
    async with here.receiver(**NO_TOKEN) as running:  # it goes on where it was left
        await running.until(ended("rollback", "done"), "the end")


async def test_what_runs_already_is_only_verified(here: Here) -> None:
    """The run acted, and then GitHub said that its file is invalid: nothing is changed a second time."""
    invalid(here.github)

    async def come_true(run: Any) -> None:
        if run.status == "in_progress":  # so that it has come true before anybody can see the end
            here.project.write(here.images.v1.tag)
            await asyncio.to_thread(here.project.up)

    here.github.hook("run", come_true)
    async with here.receiver() as running:
        await running.post(body())
        incident = await running.until(ended("rollback", "done", "failed"), "the end")
    assert step(incident, "rollback")["state"] == "done", step(incident, "rollback")
    assert "sermon-monitor: was" not in here.project.compose_file.read_text()
