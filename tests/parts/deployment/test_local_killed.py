"""kill -9 in the middle of a rollback by this machine: whoever comes next goes on with it; never twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from target.engine import Engine
from target.version_keeper import LedgerFile
from target.versions import known_good_reference
from tests.conftest import AppImages
from tests.parts.deployment.killing import end, image_of, killed_when, phase_is, rollback
from tests.parts.deployment.kit import history
from tests.real.product import Product
from tests.real.project import Project

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
_LONG = pytest.mark.long
MOMENTS = [
    "begun",
    pytest.param("pinned", marks=_LONG),
    pytest.param("replaced", marks=_LONG),
    pytest.param("verifying", marks=_LONG),
]


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
