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
from tests.conftest import AppImages, made_app_images
from tests.parts.deployment.kit import Call, Env, deploy, history, proved, run
from tests.parts.deployment.machine import Machine
from tests.parts.deployment.volunteer import Volunteer
from tests.parts.receiver_kit import policy_text
from tests.real.engine import DockerEngine
from tests.real.product import Product
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
    engine: DockerEngine, python_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    del python_image  # is there
    v2 = made_app_images(engine).v2
    made = Project(engine, tmp_path_factory.mktemp("deployment"), v2.tag)
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
def env(
    project: Project, client: Engine, app_images: AppImages, around: Env, tmp_path: Path
) -> Env:
    """v2, which is broken, runs; the ledger knows that v1 proved good."""
    deploy(project, client, app_images.v2)
    LedgerFile(tmp_path / "state" / "versions.json").save(history(app_images))
    return around


@pytest.fixture
def around(project: Project, tmp_path: Path) -> Env:
    """What the toolkit is set to."""
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


@pytest.fixture
def machine(
    around: Env, project: Project, client: Engine, app_images: AppImages, tmp_path: Path
) -> Iterator[Machine]:
    """v1, which is good, runs, and so does MinIO; afterwards nothing is left of the trouble."""
    former, project.storage_image = project.storage_image, app_images.v1.tag
    project.write(app_images.v1.tag)
    project.up()
    ledger = LedgerFile(tmp_path / "state" / "versions.json")
    ledger.save(proved(app_images.v1))
    made = Machine(project, client, app_images, ledger, [])
    yield made
    for program in made.programs:
        program.kill()
        program.wait()
    project.write(app_images.v1.tag)
    project.compose("up", "--detach", "--force-recreate", "--pull", "never", "--no-color")
    project.storage_image = former


@pytest.fixture
def volunteer(around: Env, machine: Machine) -> Volunteer:
    settings = {
        "APP_SERVICE": "app",
        "MINIO_SERVICE": "minio",
        "MINIO_URL": machine.project.minio_url,
    }
    return Volunteer(machine.project, {**around, **settings, "PROMETHEUS_URL": "", "TERM": "dumb"})


@pytest.fixture
def product(running: Project, settings: DeploymentSettings, tmp_path: Path) -> Iterator[Product]:
    """Started and killed by the tests; whatever it ends as, v2 is what later tests find."""
    policy = tmp_path / "policy.yml"
    policy.write_text(policy_text(local="auto", verify_for="1s", verify_deadline="120s"))
    made = Product(
        tmp_path,
        {
            **running.engine.environment(),
            "APP_URL": running.app_url,
            "MINIO_URL": running.minio_url,
            "COMPOSE_PROJECT_DIR": str(running.directory),
            "BACKUP_DIR": str(settings.backup_dir),
            "APP_SERVICE": APP,
            "POLICY_FILE": str(policy),
            "GOOD_AFTER": "1h",
        },
    )
    yield made
    made.stop()
