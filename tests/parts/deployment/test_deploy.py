"""Changing a real compose project on a real engine: pin, up, verify, and put back."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Never

import pytest

from target.deploy import LOCK_NAME, execute, release_pin
from target.deployment import DeployError, Deployment, compose_files, find_deployment
from target.engine import Engine
from target.files import replace_text
from target.lock import exclusive
from target.plan import BEFORE_ROLLBACK
from target.roles import app_containers
from target.settings import DeploymentSettings
from target.versions import (
    known_good_reference,
)
from tests.conftest import AppImages, tier_missing
from tests.parts.deployment.kit import SOON, go, ids, plan
from tests.real.debian import DebianError
from tests.real.engine import DockerEngine
from tests.real.images import AppImage, app_image
from tests.real.project import APP, MINIO, Project
from tests.real.registry import Registry

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def crashing(engine: DockerEngine, python_image: str) -> AppImage:
    return app_image(engine, "sermon-uploader:crash", revision="c3" * 20, behaviour="crash")


@pytest.fixture(scope="module")
def unhealthy(engine: DockerEngine, python_image: str) -> AppImage:
    return app_image(engine, "sermon-uploader:sick", revision="d4" * 20, behaviour="unhealthy")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    started = Registry(tmp_path_factory.mktemp("registry"))
    try:
        started.start()
    except DebianError as problem:
        tier_missing(f"no image registry: {problem}")
    yield started
    started.stop()


def test_a_broken_version_goes_back_to_a_good_one(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> None:
    before, text = ids(client), running.compose_file.read_text()
    outcome, _ = go(plan(settings, client, app_images.v1.id))
    assert outcome.done, outcome.words
    app = client.container(APP)
    assert app.image_id == app_images.v1.id == outcome.image_id
    assert client.container(MINIO).id == before[MINIO]
    pinned = known_good_reference("app", app_images.v1.id)
    image = f"image: {app_images.v2.tag}"
    assert running.compose_file.read_text() == text.replace(
        image, f"image: {pinned} # sermon-monitor: was {app_images.v2.tag}", 1
    )
    assert running.compose_file.stat().st_mode & 0o777 == 0o640
    (copy,) = settings.backup_dir.iterdir()
    assert copy.read_text() == text
    assert copy.stat().st_mode & 0o777 == 0o600
    assert client.image(f"{BEFORE_ROLLBACK}:app").id == app_images.v2.id
    assert plan(settings, client, app_images.v1.id).already
    assert release_pin(settings, client) == app_images.v2.tag
    assert running.compose_file.read_text() == text
    assert release_pin(settings, client) is None


@pytest.mark.parametrize("which", ["crashing", "unhealthy"])
def test_a_target_that_is_not_well_is_taken_back(
    which: str,
    request: pytest.FixtureRequest,
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    app_images: AppImages,
) -> None:
    target: AppImage = request.getfixturevalue(which)
    before, content = ids(client), running.compose_file.read_bytes()
    outcome, said = go(plan(settings, client, target.id))
    assert outcome.status == "put_back", (outcome, said)
    assert running.compose_file.read_bytes() == content
    assert client.container(APP).image_id == app_images.v2.id == outcome.image_id
    assert client.container(MINIO).id == before[MINIO]


def test_a_target_that_boots_slowly_is_waited_for(
    running: Project, settings: DeploymentSettings, client: Engine, engine: DockerEngine
) -> None:
    """Without a start period the Engine calls it unhealthy first."""
    slow = app_image(engine, "sermon-uploader:warming", revision="d5" * 20, behaviour="warming")
    patience = dataclasses.replace(SOON, deadline=60, unhealthy_share=0.5)
    began = f"{time.time():.3f}"
    outcome, said = go(plan(settings, client, slow.id), patience)
    assert outcome.done, (outcome, said)
    assert client.container(APP).image_id == slow.id
    period = ("--since", began, "--until", f"{time.time():.3f}")
    of_it = ("--filter", f"container={APP}", "--filter", "event=health_status")
    told = engine.docker("events", *period, *of_it, "--format", "{{.Action}}")
    # The broken version before it may say once more what it is.
    assert told.splitlines()[-2:] == ["health_status: unhealthy", "health_status: healthy"]


def test_an_error_of_the_disk_after_the_pin_puts_back(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    app_images: AppImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, content = ids(client), running.compose_file.read_bytes()

    def full(*_: object) -> Never:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("target.deploy.verify", full)
    wanted = plan(settings, client, app_images.v1.id)
    # Words that cannot be written do not get in the way either.
    outcome = execute(wanted, full, SOON)
    assert outcome.status == "put_back", outcome
    assert "No space left" in outcome.words
    assert running.compose_file.read_bytes() == content
    assert client.container(APP).image_id == app_images.v2.id
    assert client.container(MINIO).id == before[MINIO]


@pytest.mark.parametrize("pinned", [False, True])
def test_an_error_while_pinning(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    app_images: AppImages,
    monkeypatch: pytest.MonkeyPatch,
    pinned: bool,
) -> None:
    """Before the file is replaced nothing was changed; after it (fsync of the folder) it is put back."""
    before, content = ids(client), running.compose_file.read_bytes()
    failing = [True]

    def replace(path: Path, text: str) -> None:
        if not failing or pinned:
            replace_text(path, text)
        if failing:
            failing.clear()
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("target.deploy.replace_text", replace)
    wanted = plan(settings, client, app_images.v1.id)
    if pinned:
        assert go(wanted)[0].status == "put_back"
    else:
        with pytest.raises(DeployError, match="nothing was changed"):
            go(wanted)
    assert running.compose_file.read_bytes() == content
    assert ids(client) == before


def test_putting_back_finds_the_image_though_its_tag_has_moved(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    app_images: AppImages,
    crashing: AppImage,
) -> None:
    client.tag(app_images.v2.id, "sermon-uploader", "pi5")
    running.write("sermon-uploader:pi5")
    running.up()
    client.tag(app_images.v1.id, "sermon-uploader", "pi5")
    content = running.compose_file.read_bytes()
    outcome, said = go(plan(settings, client, crashing.id))
    assert outcome.status == "put_back", (outcome, said)
    assert running.compose_file.read_bytes() == content
    assert client.container(APP).image_id == app_images.v2.id
    assert sorted(path.name for path in running.directory.iterdir()) == [
        LOCK_NAME,
        "docker-compose.yml",
    ]
    assert compose_files(settings, [client.container(APP)]) == (running.compose_file,)


def test_nothing_ran_and_nothing_runs_after_a_failure(
    running: Project, settings: DeploymentSettings, client: Engine, crashing: AppImage
) -> None:
    running.compose("rm", "--stop", "--force", "app")
    content = running.compose_file.read_bytes()
    outcome, _ = go(plan(settings, client, crashing.id))
    assert outcome.status == "put_back"
    assert running.compose_file.read_bytes() == content
    assert app_containers(client.containers(), settings) == []


def test_an_image_that_cannot_be_had_stops_nothing(
    running: Project, settings: DeploymentSettings, client: Engine, registry: Registry
) -> None:
    before, content = ids(client), running.compose_file.read_bytes()
    missing = plan(settings, client, f"{registry.host}/team/app:gone")
    with pytest.raises(DeployError, match=r"nothing was stopped: pull of .*/team/app:gone"):
        go(missing)
    with pytest.raises(DeployError, match="no longer on this machine"):
        plan(settings, client, "sha256:" + "0" * 64, "sermon-monitor/known-good:app-0000")
    assert ids(client) == before
    assert running.compose_file.read_bytes() == content


def test_a_version_is_pulled_and_pinned_by_its_digest(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    engine: DockerEngine,
    registry: Registry,
    python_image: str,
) -> None:
    made = app_image(engine, "sermon-uploader:away", revision="e5" * 20)
    digest = registry.push(engine, made.id, "team/app:master-e5e5e5e")
    engine.docker("rmi", made.tag)
    wanted = plan(
        settings,
        client,
        f"{registry.host}/team/app:production-e5e5e5e",
        f"{registry.host}/team/app:master-e5e5e5e",
        revision="e5e5e5e",
    )
    assert wanted.local is None
    outcome, said = go(wanted)
    assert outcome.done, (outcome, said)
    assert outcome.image == digest
    assert f"image: {digest} # sermon-monitor: was" in running.compose_file.read_text()
    assert client.container(APP).image == digest
    assert find_deployment(settings, client).repository == f"{registry.host}/team/app"
    # The same image again, named by its digest: it is here, and nothing is pulled.
    assert plan(settings, client, digest).already


def test_two_at_once_are_one_and_a_refusal(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> None:
    before = ids(client)
    wanted = plan(settings, client, app_images.v1.id)
    with (
        exclusive(running.directory / LOCK_NAME, "pid 1 since noon"),
        pytest.raises(DeployError, match="pid 1 since noon"),
    ):
        go(wanted)
    assert ids(client) == before


def test_what_changed_since_the_plan_is_looked_at_again(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> None:
    wanted = plan(settings, client, app_images.v1.id)
    text = running.compose_file.read_text()
    running.compose_file.write_text(text + "# new\n")
    with pytest.raises(DeployError, match="was changed meanwhile"):
        go(wanted)
    running.compose_file.write_text(text)
    running.compose("up", "--detach", "--force-recreate", "--pull", "never", "app")
    with pytest.raises(DeployError, match="was replaced meanwhile"):
        go(wanted)


def test_a_backup_directory_that_cannot_be_had_stops_no_rollback(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    app_images: AppImages,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    blocked = settings.model_copy(update={"backup_dir": tmp_path / "file" / "backups"})
    outcome, said = go(plan(blocked, client, app_images.v1.id))
    assert outcome.done
    assert any("no copy of docker-compose.yml in BACKUP_DIR" in line for line in said)


def test_a_half_done_rollback_is_finished_by_the_next(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> None:
    """Killed between the pin and `up`: the file says v1, the container is v2."""
    client.tag(app_images.v1.id, *known_good_reference("app", app_images.v1.id).split(":"))
    text = running.compose_file.read_text()
    pinned = known_good_reference("app", app_images.v1.id)
    half = text.replace(app_images.v2.tag, f"{pinned} # sermon-monitor: was {app_images.v2.tag}", 1)
    running.compose_file.write_text(half)
    outcome, _ = go(plan(settings, client, app_images.v1.id))
    assert outcome.done
    assert client.container(APP).image_id == app_images.v1.id
    assert running.compose_file.read_text() == half


def test_the_plan_reads_as_lines(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> None:
    wanted = plan(settings, client, app_images.v1.id)
    lines = "\n".join(wanted.lines())
    assert f"runs {app_images.v2.tag}" in lines
    assert "use the local image" in lines
    assert "--no-deps --no-build --pull never app" in lines
    assert isinstance(wanted.deployment, Deployment)
