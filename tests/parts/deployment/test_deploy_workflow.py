"""deploy/workflows/self-hosted-deploy.yml, its second job, run as a runner does against a real engine and registry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from target.engine import Engine
from target.version_keeper import LedgerFile
from tests.conftest import AppImages, tier_missing
from tests.parts.deployment.kit import ROOT, Env, on_the_runner, proved, run, state_of
from tests.real.debian import DebianError
from tests.real.images import AppImage, app_image
from tests.real.project import APP, Project
from tests.real.registry import Registry
from tests.real.workflow import run_workflow

pytestmark = [pytest.mark.engine, pytest.mark.long]
DEPLOY = ROOT / "deploy" / "workflows" / "self-hosted-deploy.yml"
MONITOR = Path(sys.executable).with_name("sermon-monitor")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    started = Registry(tmp_path_factory.mktemp("registry"))
    try:
        started.start()
    except DebianError as problem:
        tier_missing(f"no image registry: {problem}")
    yield started
    started.stop()


class Shop:
    """The application's repository and its machine: v1 runs by its own tag, and the next versions can be had."""

    def __init__(self, project: Project, registry: Registry, env: Env, folder: Path) -> None:
        self.project, self.registry, self.env, self._folder = project, registry, env, folder

    @property
    def tags(self) -> Path:
        return self.project.directory / ".env"

    def built(self, image: AppImage) -> str:
        """Its tag in the registry, as the first job would have made it."""
        tag = f"main-{image.revision[:7]}"
        self.registry.push(self.project.engine, image.id, f"team/app:{tag}")
        return tag

    def forget(self) -> None:
        """The Engine is also other tests': what it has from our registry is no version of theirs."""
        docker = self.project.engine.docker
        for wanted in ("{{.Repository}}:{{.Tag}}", "{{.Repository}}@{{.Digest}}"):
            names = docker("image", "ls", "--digests", "--format", wanted).split()
            ours = {one for one in names if one.startswith(self.registry.host)}
            for name in sorted(one for one in ours if "<none>" not in one):
                docker("image", "rm", "--force", name)

    def deploy(self, tag: str) -> subprocess.CompletedProcess[str]:
        """The second job, with what the first would have handed on."""
        text = DEPLOY.read_text(encoding="utf-8")
        text = re.sub(r"^  build:\n.*?(?=^  deploy:\n)", "", text, flags=re.M | re.S)
        text = text.replace("    needs: build\n", "").replace("${{ needs.build.outputs.tag }}", tag)
        for name, value in (
            ("IMAGE", f"{self.registry.host}/team/app"),
            ("SERVICE", "app"),
            ("PROJECT", str(self.project.directory)),
            ("MONITOR", str(MONITOR)),
        ):
            text, found = re.subn(rf"^  {name}: .*$", f"  {name}: {value}", text, flags=re.M)
            assert found == 1, name
        path = self._folder / DEPLOY.name
        path.write_text(text, encoding="utf-8")
        return run_workflow(path, {}, on_the_runner(self.env))

    def windows(self) -> list[dict[str, object]]:
        done = subprocess.run(
            [str(MONITOR), "maintenance", "list", "--json"],
            env=on_the_runner(self.env),
            capture_output=True,
            text=True,
            check=True,
        )
        return list(json.loads(done.stdout)["maintenance"])


@pytest.fixture
def shop(
    running: Project, registry: Registry, around: Env, app_images: AppImages, tmp_path: Path
) -> Iterator[Shop]:
    former, running.storage_image = running.storage_image, app_images.v1.tag
    made = Shop(running, registry, {**around, "MINIO_URL": running.minio_url}, tmp_path)
    tag = made.built(app_images.v1)
    running.engine.docker("pull", "--quiet", f"{registry.host}/team/app:{tag}")
    running.write(f"{registry.host}/team/app:${{APP_TAG}}")
    made.tags.write_text(f"SECRET=hunter2\nAPP_TAG={tag}\n")
    made.tags.chmod(0o600)
    running.up()
    LedgerFile(tmp_path / "state" / "versions.json").save(proved(app_images.v1))
    yield made
    made.forget()
    made.tags.unlink()
    running.storage_image = former


def test_a_new_version_runs_by_its_own_tag_under_a_window(shop: Shop, client: Engine) -> None:
    new = app_image(shop.project.engine, "sermon-uploader:next", revision="d5" * 20)
    tag = shop.built(new)
    done = shop.deploy(tag)
    assert done.returncode == 0, done.stdout + done.stderr
    container = client.container(APP)
    assert (container.image_id, container.image) == (new.id, f"{shop.registry.host}/team/app:{tag}")
    assert shop.tags.read_text() == f"SECRET=hunter2\nAPP_TAG={tag}\n"
    assert shop.tags.stat().st_mode & 0o777 == 0o600
    (window,) = shop.windows()
    assert (window["origin"], window["active"]) == ("deployment", True)
    assert window["reason"] == f"deployment of {tag}"
    # Whoever starts it later starts the same version.
    assert run(("health-check",), shop.env).returncode == 0
    again = run(("restart-services", "--dry-run", "--json"), shop.env)
    assert f"team/app:{tag}" in again.stdout


def test_a_version_that_is_not_well_is_a_red_run(shop: Shop, client: Engine) -> None:
    bad = app_image(
        shop.project.engine, "sermon-uploader:crash", revision="d4" * 20, behaviour="crash"
    )
    done = shop.deploy(shop.built(bad))
    assert done.returncode == 1
    assert client.container(APP).image_id == bad.id  # what comes next is the alerts' business


def test_a_tag_that_is_not_there_stops_nothing(shop: Shop, client: Engine) -> None:
    before = state_of(shop.project, client)
    done = shop.deploy("main-0000000")
    assert done.returncode == 1
    assert state_of(shop.project, client) == before
    assert shop.windows() == []
