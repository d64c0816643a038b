"""kill -9 in the middle of a rollback that comes to nothing: whoever comes next puts back what ran before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from target.engine import Engine
from target.lock import LockHeldError, exclusive
from target.version_keeper import LedgerFile
from tests.conftest import AppImages
from tests.parts.deployment.killing import end, found, image_of, killed_when, phase_is
from tests.parts.deployment.kit import history
from tests.real.engine import DockerEngine
from tests.real.images import AppImage, app_image
from tests.real.processes import wait_for
from tests.real.product import Product
from tests.real.project import Project

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def crashing(engine: DockerEngine, python_image: str) -> AppImage:
    return app_image(engine, "sermon-uploader:crash", revision="c3" * 20, behaviour="crash")


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
