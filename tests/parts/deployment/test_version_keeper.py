"""The version ledger over real containers and images."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from target.deployment import find_deployment
from target.engine import Container, Engine
from target.plan import Target, plan_rollback
from target.roles import app_containers
from target.settings import DeploymentSettings
from target.version_keeper import LedgerFile, LedgerKeeper
from target.versions import (
    deployments,
    known_good_reference,
    last_known_good,
)
from tests.conftest import AppImages
from tests.parts.deployment.kit import go
from tests.real.engine import DockerEngine
from tests.real.images import AppImage, app_image
from tests.real.project import Project

pytestmark = pytest.mark.engine


class Watch:
    """The keeper as the process drives it, with a clock of the test's."""

    def __init__(self, client: Engine, settings: DeploymentSettings) -> None:
        self.file = LedgerFile(settings.state_dir / "versions.json")
        self.keeper = LedgerKeeper(self.file, client, timedelta(seconds=60))
        self.now = datetime.now(UTC)
        self._client, self._settings = client, settings

    def step(self, seconds: float, healthy: bool = True) -> None:
        self.now += timedelta(seconds=seconds)
        containers: list[Container] = app_containers(self._client.containers(), self._settings)
        self.keeper.step(containers, healthy, self.now)


def test_the_ledger_sees_deployments_and_keeps_the_way_back(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    engine: DockerEngine,
    python_image: str,
) -> None:
    old = app_image(engine, "sermon-uploader:mutable", revision="f6" * 20)
    running.write("sermon-uploader:mutable")
    running.up()
    watch = Watch(client, settings)
    watch.step(0)
    watch.step(60)
    written = watch.file.signature()
    watch.step(5)
    assert watch.file.signature() == written, "nothing changed and yet it was written"
    assert [r.verdict for r in watch.keeper.ledger.releases] == ["good"]
    assert client.image(known_good_reference("app", old.id)).id == old.id

    new = app_image(engine, "sermon-uploader:mutable", revision="f7" * 20, behaviour="broken")
    running.up()
    watch.step(5, healthy=False)
    engine.docker("image", "prune", "--force")
    ledger = watch.file.load()
    assert ledger == watch.keeper.ledger
    assert [r.image_id for r in deployments(ledger)] == [new.id]
    back = last_known_good(ledger, "app", new.id)
    assert back is not None
    outcome, _ = go(
        plan_rollback(settings, client, find_deployment(settings, client), Target.of_release(back))
    )
    assert outcome.done
    watch.step(5)
    assert [r.image_id for r in deployments(watch.keeper.ledger)] == [new.id, old.id]


def test_a_gap_or_a_start_begins_the_proof_anew(
    running: Project, settings: DeploymentSettings, client: Engine
) -> None:
    watch = Watch(client, settings)
    watch.step(0)
    watch.step(50)
    watch.step(3600)
    assert [r.verdict for r in watch.keeper.ledger.releases] == ["unknown"]
    again = Watch(client, settings)
    again.now = watch.now
    again.step(59)
    assert [r.verdict for r in again.keeper.ledger.releases] == ["unknown"]
    again.step(60)
    assert [r.verdict for r in again.keeper.ledger.releases] == ["good"]


@pytest.mark.long
def test_more_than_two_kept_images_are_let_go(
    running: Project,
    settings: DeploymentSettings,
    client: Engine,
    engine: DockerEngine,
    python_image: str,
) -> None:
    made: list[AppImage] = []
    watch = Watch(client, settings)
    for number in range(3):
        made.append(app_image(engine, f"sermon-uploader:n{number}", revision=f"{number}" * 40))
        running.write(made[-1].tag)
        running.up()
        watch.step(5)
        watch.step(60)
    assert _here(client, made[1])
    assert _here(client, made[2])
    assert not _here(client, made[0])


def _here(client: Engine, image: AppImage) -> bool:
    """Whether the image is kept under its known-good tag."""
    wanted = known_good_reference("app", image.id)
    return any(wanted in local.tags for local in client.images())


def test_a_read_only_keeper_tags_nothing(
    running: Project, settings: DeploymentSettings, client: Engine, app_images: AppImages
) -> None:
    file = LedgerFile(settings.state_dir / "versions.json")
    keeper = LedgerKeeper(file, client, timedelta(0), keep_images=False)
    tags = {tag for image in client.images() for tag in image.tags}
    keeper.step(app_containers(client.containers(), settings), True, datetime.now(UTC))
    assert keeper.ledger.releases[0].verdict == "good"
    assert {tag for image in client.images() for tag in image.tags} == tags
