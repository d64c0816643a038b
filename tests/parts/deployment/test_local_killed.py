"""kill -9 in the middle of a rollback by this machine: whoever comes next goes on, or puts back; never twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from receiver.store import steps
from receiver.store.database import reading
from target.engine import Engine, EngineError
from target.lock import LockHeldError, exclusive
from target.settings import DeploymentSettings
from target.version_keeper import LedgerFile
from target.versions import known_good_reference
from tests.conftest import AppImages
from tests.parts.deployment.kit import history
from tests.parts.receiver_kit import body, policy_text
from tests.real.engine import DockerEngine
from tests.real.images import AppImage, app_image
from tests.real.processes import wait_for
from tests.real.product import Product
from tests.real.project import APP, Project

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def crashing(engine: DockerEngine, python_image: str) -> AppImage:
    return app_image(engine, "sermon-uploader:crash", revision="c3" * 20, behaviour="crash")


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


def rollback(product: Product) -> Any:
    """The step, as the store has it."""
    return found(product, "rollback")


def found(product: Product, action: str) -> Any:
    with reading(product.state / "receiver.sqlite3") as c:
        return next((s for s in steps.steps(c, 1) if s.action == action), None)


def phase_is(product: Product, phase: str) -> Callable[[], bool]:
    def is_it() -> bool:
        one = rollback(product)
        assert one is None or one.state in ("pending", "running"), one
        return one is not None and one.phase == phase

    return is_it


def killed_when(product: Product, condition: Callable[[], object], what: str) -> None:
    product.start()
    status, _ = product.post(json.dumps(body()).encode())
    assert status == 200
    wait_for(condition, what, within=120)
    product.kill()


def image_of(client: Engine) -> str:
    try:
        return client.container(APP).image_id
    except EngineError:  # between two containers
        return ""


def end(product: Product) -> Any:
    product.start()
    wait_for(lambda: rollback(product).state in ("done", "failed"), "the end", within=180)
    return rollback(product)


MOMENTS = ["begun", "pinned", "replaced", "verifying"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_is_carried_on_to_its_end(
    moment: str,
    product: Product,
    running: Project,
    client: Engine,
    app_images: AppImages,
) -> None:
    LedgerFile(product.state / "versions.json").save(history(app_images))
    text = running.compose_file.read_text()
    conditions: dict[str, Callable[[], object]] = {
        "begun": phase_is(product, "changing"),
        "pinned": lambda: running.compose_file.read_text() != text,
        "replaced": lambda: image_of(client) == app_images.v1.id,
        "verifying": phase_is(product, "verifying"),
    }
    killed_when(product, conditions[moment], moment)
    assert rollback(product).state == "running"
    one = end(product)
    assert one.state == "done", one
    assert image_of(client) == app_images.v1.id
    pinned = known_good_reference("app", app_images.v1.id)
    assert running.compose_file.read_text() == text.replace(
        f"image: {app_images.v2.tag}",
        f"image: {pinned} # sermon-monitor: was {app_images.v2.tag}",
        1,
    )
    assert client.image("sermon-monitor/before-rollback:app").id == app_images.v2.id
    assert len([c for c in client.containers() if c.service == "app"]) == 1


@pytest.mark.parametrize("moment", ["pinned", "putting back", "put back"])
def test_what_does_not_come_up_is_put_back_all_the_same(
    moment: str,
    product: Product,
    running: Project,
    client: Engine,
    app_images: AppImages,
    crashing: AppImage,
) -> None:
    """Also by a process that never saw what there was before."""
    LedgerFile(product.state / "versions.json").save(
        history(AppImages(v1=crashing, v2=app_images.v2))
    )
    text = running.compose_file.read_text()
    conditions: dict[str, Callable[[], object]] = {
        "pinned": lambda: running.compose_file.read_text() != text,
        "putting back": phase_is(product, "putting back"),
        "put back": lambda: (
            phase_is(product, "putting back")() and running.compose_file.read_text() == text
        ),
    }
    killed_when(product, conditions[moment], moment)
    one = end(product)
    assert one.state == "failed", one
    assert "What ran before runs again" in one.words
    assert running.compose_file.read_text() == text
    assert image_of(client) == app_images.v2.id
    wait_for(lambda: found(product, "person").state == "done", "the call")


def test_a_command_that_outlives_us_keeps_others_out(tmp_path: Path) -> None:
    """compose inherits the lock: it is free only when compose has ended too."""
    script = f"""
import subprocess, sys
from pathlib import Path
from target.compose import Compose
from target.lock import exclusive
file = Path({str(tmp_path)!r}) / "compose.yml"
compose = Compose([file])
with exclusive(Path({str(tmp_path)!r}) / "lock", "the first") as lock, compose.keeping(lock):
    print("held", flush=True)
    compose._call(["sh", "-c", "echo $$ > child; sleep 30"], "up", 60)
"""
    first = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = tmp_path / "child"
    wait_for(lambda: child.exists() and child.read_text().strip(), "the command")
    first.kill()
    first.wait()
    assert first.stdout is not None
    first.stdout.close()
    with pytest.raises(LockHeldError, match="the first"), exclusive(tmp_path / "lock", "us"):
        pass
    os.killpg(int(child.read_text()), signal.SIGKILL)

    def free() -> bool:
        try:
            with exclusive(tmp_path / "lock", "us"):
                return True
        except LockHeldError:
            return False

    wait_for(free, "the lock")
