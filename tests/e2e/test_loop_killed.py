"""The whole loop again, with everything twice and the process killed where it hurts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AppImages, Tell
from tests.e2e.staged import staged
from tests.real.daemons import Binaries
from tests.real.engine import DockerEngine
from tests.real.scenes import bad_deploy_is_rolled_back, restart_cures

pytestmark = [
    pytest.mark.engine,
    pytest.mark.daemons,
    pytest.mark.long,
    pytest.mark.timeout(600),
]


def test_both_scenes_with_two_alertmanagers_and_kill_9(
    engine: DockerEngine, binaries: Binaries, app_images: AppImages, tmp_path: Path, tell: Tell
) -> None:
    """Everything comes twice, and the process dies right after accepting, and between dispatch and its record."""
    with staged(engine, binaries, app_images, tmp_path, 2) as stage:

        def die() -> None:
            tell("kill -9")
            stage.product.kill()
            stage.product.start()

        restart_cures(stage, tell, meanwhile=die)
        stage.revive = True

        def die_at_dispatch(_dispatch: Any) -> None:
            tell("kill -9, between the dispatch and its record")
            stage.product.kill()

        stage.github.hook("dispatch", die_at_dispatch)
        incident = bad_deploy_is_rolled_back(
            stage, tell, app_images.v1, app_images.v2, meanwhile=die
        )
        assert any("found again" in event["words"] for event in incident["events"]), incident[
            "events"
        ]
