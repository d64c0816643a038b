"""Finding the deployment on a machine, and refusing what cannot be changed."""

from __future__ import annotations

import dataclasses
import gc
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from target.compose import Compose, ComposeError
from target.deployment import DeployError, find_deployment
from target.engine import Engine
from target.settings import DeploymentSettings
from tests.conftest import AppImages
from tests.parts.deployment.kit import go, plan
from tests.real.project import APP, Project

pytestmark = pytest.mark.engine


def test_an_image_of_another_commit_is_refused(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> None:
    with pytest.raises(DeployError, match="is of commit a1a1a1a1a1a1, not b2b2b2b"):
        plan(settings, client, app_images.v1.id, revision="b2b2b2b")


def test_a_container_name_finds_the_service(
    running: Project, settings: DeploymentSettings, client: Engine
) -> None:
    assert find_deployment(settings, client, APP).service == "app"
    assert find_deployment(settings, client, "app").service == "app"
    with pytest.raises(DeployError, match=r"none of web is a service .*app, minio"):
        find_deployment(settings, client, "web")


def _own(text: str) -> str:
    return text.replace("name: sermon-uploader", "name: sermon-monitor")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text.replace("image:", "build: . #", 1), "service app has no image:"),
        (_own, "monitor's own"),
        (
            lambda text: text.replace("name: sermon-uploader", "name: other"),
            "belongs to the compose project",
        ),
        (lambda text: text.replace("services:", "servces:"), "docker compose config"),
        (lambda text: text.replace("image: ", "image: ${NOT_SET:?say it}", 1), "NOT_SET"),
        (lambda text: "\x00", "docker compose config"),
    ],
    ids=["built", "our own", "another project", "invalid", "a variable", "binary"],
)
def test_a_compose_file_that_cannot_be_used_is_refused(
    edit: Callable[[str], str],
    words: str,
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
) -> None:
    text = running.compose_file.read_text()
    running.compose_file.write_text(edit(text))
    with pytest.raises(DeployError, match=words):
        find_deployment(settings, client)
    running.compose_file.write_text(text)


def test_our_environment_does_not_reach_the_apps_variables(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    monkeypatch: pytest.MonkeyPatch,
    app_images: AppImages,
) -> None:
    text = running.compose_file.read_text()
    running.compose_file.write_text(
        text.replace("ROLE: app", 'ROLE: app\n      URL: "${MINIO_URL}"')
    )
    monkeypatch.setenv("MINIO_URL", "http://ours.example")
    found = find_deployment(settings, client)
    assert any("MINIO_URL" in note for note in found.notes)
    project = found.compose.project()
    assert "ours.example" not in json.dumps(dataclasses.asdict(project))
    outcome, _ = go(plan(settings, client, app_images.v1.id))
    assert outcome.done
    environment = running.engine.docker("inspect", "--format", "{{json .Config.Env}}", APP)
    assert "ours.example" not in environment


def test_compose_that_is_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ComposeError, match="not installed"):
        Compose([tmp_path / "compose.yaml"]).project()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_does_not_answer_is_said(settings: DeploymentSettings) -> None:
    with pytest.raises(DeployError, match="does not answer"):
        find_deployment(settings, Engine("unix:///nowhere.sock"))
    gc.collect()  # the docker SDK leaves the socket that could not connect to the collector: here, not in the next test
