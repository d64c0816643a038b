"""The whole loop: a real deployment goes bad, and the same process that people install puts it right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import AppImages, Tell
from tests.real.daemons import Binaries
from tests.real.engine import DockerEngine
from tests.real.scenes import bad_deploy_is_rolled_back, restart_cures
from tests.real.stage import WORKFLOW, Stage, set_stage
from tests.standins.discord import Discord
from tests.standins.github import GitHub

pytestmark = [pytest.mark.engine, pytest.mark.daemons, pytest.mark.timeout(600)]


@contextmanager
def staged(
    engine: DockerEngine, binaries: Binaries, images: AppImages, directory: Path, alertmanagers: int
) -> Iterator[Stage]:
    with (
        Discord.in_thread() as discord,
        GitHub.in_thread([WORKFLOW]) as github,
        set_stage(
            engine,
            binaries,
            directory,
            images.v1,
            discord=discord,
            github=github,
            alertmanagers=alertmanagers,
        ) as stage,
    ):
        yield stage


def test_both_scenes(
    engine: DockerEngine, binaries: Binaries, app_images: AppImages, tmp_path: Path, tell: Tell
) -> None:
    with staged(engine, binaries, app_images, tmp_path, 1) as stage:
        restart_cures(stage, tell)
        incident = bad_deploy_is_rolled_back(
            stage, tell, app_images.v1, app_images.v2, incidents_before=1
        )
        (dispatch,) = stage.github.dispatches
        assert dispatch.inputs["target_commit"] == app_images.v1.revision
        assert dispatch.inputs["force_rollback"] == "true"
        assert dispatch.inputs["correlation_id"] in stage.github.runs[0].title
        assert "verified" in incident["verdict"]
        pinged = [message for message in stage.discord.messages if message.pings]
        assert len(pinged) == 2, "one ping for each of the two critical incidents"
        log = stage.product.log()
        assert stage.github.token not in log
        assert stage.discord.url.rpartition("/")[2] not in log
        assert stage.product.stop() == 0
        assert "Traceback" not in stage.product.log()


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
            stage, tell, app_images.v1, app_images.v2, incidents_before=1, meanwhile=die
        )
        assert any("found again" in event["words"] for event in incident["events"]), incident[
            "events"
        ]
