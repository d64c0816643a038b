"""rollback.yml, run as a runner does, against a real engine; told to the stand-ins of Discord and GitHub."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from target.deploy import LOCK_NAME
from target.engine import Engine
from target.lock import exclusive
from target.version_keeper import LedgerFile
from tests.conftest import AppImages
from tests.parts.deployment.killing import image_of
from tests.parts.deployment.kit import WORKFLOW, Env, on_the_runner, state_of
from tests.real.images import app_image
from tests.real.processes import wait_for
from tests.real.project import APP, MINIO, Project
from tests.real.workflow import run_workflow
from tests.standins.discord import Discord
from tests.standins.github import GitHub

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def discord() -> Iterator[Discord]:
    with Discord.in_thread() as found:
        yield found


@pytest.fixture
def github(app_images: AppImages) -> Iterator[GitHub]:
    with GitHub.in_thread() as found:
        found.permissions = {"deployments": "write", "issues": "write"}
        found.commits |= {image.revision for image in app_images}
        yield found


@pytest.fixture
def run(env: Env, discord: Discord, github: GitHub) -> Run:
    """Dispatch it with these inputs; everything but the reason may be left out."""

    def call(**inputs: str) -> subprocess.CompletedProcess[str]:
        runner = {"GITHUB_API_URL": github.base_url, "GITHUB_REPOSITORY": github.repository}
        secrets = {"GITHUB_TOKEN": github.token, "DISCORD_WEBHOOK_URL": discord.url}
        given = {"reason": "pages are empty", **inputs}
        return run_workflow(WORKFLOW, given, on_the_runner(env), secrets, runner=runner)

    return call


def title(discord: Discord) -> str:
    """Of the newest message."""
    return str(discord.messages[-1].embeds[0]["title"])


@pytest.mark.engine
def test_a_good_target_runs_and_is_told(
    run: Run, client: Engine, app_images: AppImages, discord: Discord, github: GitHub
) -> None:
    """As a person starts it by hand: every input but the reason is empty."""
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert client.container(APP).image_id == app_images.v1.id
    assert title(discord) == "Rollback: Done"
    assert "**Rollback: Done**" in done.stderr  # the step summary
    (deployment,) = github.deployments
    assert (deployment.sha, deployment.statuses[-1][0]) == (app_images.v1.revision, "success")
    assert github.issues == []


@pytest.mark.engine
def test_it_takes_what_the_monitor_sends(
    run: Run, client: Engine, app_images: AppImages, discord: Discord
) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    done = run(
        rollback_type="previous_version",
        target_commit=app_images.v1.revision,
        reason='ServiceDown: "disk" `x` $(touch /tmp/owned)',
        force_rollback="true",
        correlation_id="sm-7-0123456789ab",
        expires_at=soon,
        target_image=app_images.v1.id,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sm-7-0123456789ab" in done.stderr
    assert client.container(APP).image_id == app_images.v1.id
    assert '"disk"' in json.dumps(discord.messages[-1].embeds, ensure_ascii=False).replace(
        '\\"', '"'
    )


@pytest.mark.engine
def test_a_missing_tag_stops_nothing(
    run: Run, client: Engine, discord: Discord, github: GitHub, project: Project
) -> None:
    before = state_of(project, client)
    done = run(target_image="127.0.0.1:9/nobody/sermon-uploader:main-0000000")
    assert done.returncode == 1
    assert state_of(project, client)["containers"] == before["containers"]
    assert title(discord) == "Rollback: Refused: nothing was changed"
    assert len(github.issues) == 1


@pytest.mark.engine
def test_a_crashing_target_is_taken_back(
    run: Run,
    client: Engine,
    app_images: AppImages,
    discord: Discord,
    github: GitHub,
    project: Project,
) -> None:
    crashing = app_image(
        project.engine, "sermon-uploader:crash", revision="cc" * 20, behaviour="crash"
    )
    github.commits.add(crashing.revision)
    text = project.compose_file.read_bytes()
    done = run(target_image=crashing.tag)
    assert done.returncode == 1
    assert client.container(APP).image_id == app_images.v2.id
    assert project.compose_file.read_bytes() == text
    assert title(discord) == "Rollback: It failed; what ran before runs again"
    assert [d.statuses[-1][0] for d in github.deployments] == ["failure"]
    assert "sermon-recovery diagnose" in github.issues[0].body


@pytest.mark.engine
@pytest.mark.parametrize("kind", ["previous_version", "emergency_stop"])
def test_an_expired_request_ends_as_such(
    kind: str, run: Run, client: Engine, discord: Discord, github: GitHub, project: Project
) -> None:
    before = state_of(project, client)
    done = run(rollback_type=kind, expires_at="2026-01-02T03:04:05Z")
    assert done.returncode == 1
    assert state_of(project, client) == before
    assert "expired at 2026-01-02T03:04:05Z" in json.dumps(discord.messages[-1].embeds)
    what = "Rollback" if kind == "previous_version" else "Emergency stop"
    assert title(discord) == f"{what}: The request had expired: nothing was done"
    assert github.issues == []


@pytest.mark.engine
def test_two_at_once_make_one_change(
    run: Run, client: Engine, app_images: AppImages, discord: Discord
) -> None:
    """Past GitHub's queue: the lock on the machine holds, also for a person at the terminal."""
    seen = len(discord.messages)
    with ThreadPoolExecutor() as pool:
        done = [one.result() for one in [pool.submit(run) for _ in range(2)]]
    assert 0 in [one.returncode for one in done]
    assert client.container(APP).image_id == app_images.v1.id
    titles = sorted(str(m.embeds[0]["title"]) for m in discord.messages[seen:])
    assert titles.count("Rollback: Done") == 1
    # The other met the lock, or what it had planned was overtaken, or it came when all was done.
    others = {"Rollback: Refused: nothing was changed", "Rollback: It runs already"}
    assert len(titles) == 2
    assert set(titles) - {"Rollback: Done"} <= others, titles


@pytest.mark.engine
def test_while_somebody_else_is_at_work_nothing_is_done(
    run: Run, client: Engine, project: Project, discord: Discord
) -> None:
    before = state_of(project, client)["containers"]
    with exclusive(project.directory / LOCK_NAME, "a person at the terminal"):
        assert run().returncode == 1
    assert state_of(project, client)["containers"] == before
    assert "another change of this deployment is at work" in json.dumps(discord.messages[-1].embeds)


def _locked(project: Project) -> bool:
    """By the kernel's own word: to try it would be to hold it."""
    inode = (project.directory / LOCK_NAME).stat().st_ino
    return re.search(rf"FLOCK .*:{inode} ", Path("/proc/locks").read_text()) is not None


@pytest.mark.engine
@pytest.mark.long
def test_a_cancelled_run_leaves_no_half_change(
    run: Run, client: Engine, app_images: AppImages, project: Project, tmp_path: Path
) -> None:
    """GitHub ends the step's shell in the end by force: what has begun on the machine is still finished."""
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run)
        wait_for(lambda: _locked(project), "it to be at work", within=120)
        ours = psutil.Process(os.getpid()).children(recursive=True)
        shells = [p for p in ours if p.name() == "bash" and "act" in (p.parent() or p).name()]
        assert shells
        for shell in shells:
            shell.kill()
        running.result()
    wait_for(lambda: not _locked(project), "the change to be finished", within=120)
    assert client.container(APP).image_id == app_images.v1.id
    ledger = LedgerFile(tmp_path / "state" / "versions.json")

    def marked() -> bool:
        return [r.verdict for r in ledger.load().releases] == ["good", "bad"]

    wait_for(marked, "its last act to be done too", within=120)


@pytest.mark.engine
def test_an_emergency_stop_stops_the_deployment_alone_and_for_good(
    run: Run, client: Engine, app_images: AppImages, discord: Discord, project: Project
) -> None:
    """At once with a rollback, whose target keeps it waiting, and which then puts back what ran before."""
    sick = app_image(project.engine, "sermon-uploader:sick", revision="d4" * 20, behaviour="unhealthy")  # fmt: skip
    other = project.engine.docker(
        *("run", "--detach", "--network", "none", "--entrypoint", "sleep", app_images.v1.tag, "600")
    ).strip()
    try:
        with ThreadPoolExecutor() as pool:
            rollback = pool.submit(run, target_image=sick.tag)
            wait_for(lambda: image_of(client) == sick.id, "the rollback to have begun", within=120)
            done = run(rollback_type="emergency_stop")
            assert rollback.result().returncode == 1
        assert done.returncode == 0, done.stdout + done.stderr
        assert {client.container(name).state for name in (APP, MINIO)} == {"exited"}
        assert image_of(client) == app_images.v2.id  # put back, and stopped once more
        assert client.container(other).running
        assert "Emergency stop: Done" in [str(m.embeds[0]["title"]) for m in discord.messages[-2:]]
    finally:
        project.engine.docker("rm", "--force", other)
        project.up()
