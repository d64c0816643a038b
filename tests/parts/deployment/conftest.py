"""One compose project for all tests here; each finds it with v2, which is broken, running."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from target.deploy import LOCK_NAME
from target.engine import Engine
from target.roles import app_containers
from target.settings import DeploymentSettings
from target.version_keeper import LedgerFile
from tests.conftest import AppImages
from tests.parts.deployment.kit import Call, Env, deploy, history, run
from tests.real.engine import DockerEngine
from tests.real.project import APP, Project


@pytest.fixture
def _reach_the_engine(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client(engine: DockerEngine) -> Iterator[Engine]:
    found = Engine(engine.host, timeout=20)
    yield found
    found.close()


@pytest.fixture(scope="package")
def project(
    engine: DockerEngine, app_images: AppImages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    made = Project(engine, tmp_path_factory.mktemp("deployment"), app_images.v2.tag)
    made.up()
    yield made
    made.down()


@pytest.fixture
def running(project: Project, client: Engine, app_images: AppImages) -> Project:
    """v2, which is broken, runs; the compose file has a mode of its own. Every test finds it so."""
    project.write(app_images.v2.tag)
    project.compose_file.chmod(0o640)
    (project.directory / LOCK_NAME).unlink(missing_ok=True)
    here = app_containers(client.containers(), DeploymentSettings(app_service=(APP,)))
    if [c.image for c in here if c.running] != [app_images.v2.tag]:
        project.up()
    return project


@pytest.fixture
def settings(_reach_the_engine: None, running: Project, tmp_path: Path) -> DeploymentSettings:
    return DeploymentSettings(
        app_url=running.app_url,
        compose_project_dir=running.directory,
        backup_dir=tmp_path / "backups",
        state_dir=tmp_path / "state",
        docker_host=running.engine.host,
    )


@pytest.fixture
def env(project: Project, client: Engine, app_images: AppImages, tmp_path: Path) -> Env:
    """v2, which is broken, runs; the ledger knows that v1 proved good."""
    deploy(project, client, app_images.v2)
    LedgerFile(tmp_path / "state" / "versions.json").save(history(app_images))
    return {
        **project.engine.environment(),
        "APP_URL": project.app_url,
        "COMPOSE_PROJECT_DIR": str(project.directory),
        "BACKUP_DIR": str(tmp_path / "backups"),
        "STATE_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def recovery(env: Env) -> Call:
    def call(*words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return run(words, {**env, **changes})

    return call
