"""The whole loop: a real deployment goes bad, and the same process that people install puts it right."""

from __future__ import annotations

from pathlib import Path

import pytest

from target.version_keeper import LedgerFile
from tests.conftest import AppImages, Tell
from tests.e2e.panels import every_panel_has_data
from tests.e2e.staged import staged
from tests.real.daemons import Binaries
from tests.real.engine import DockerEngine
from tests.real.scenes import bad_deploy_is_rolled_back, restart_cures

pytestmark = [pytest.mark.engine, pytest.mark.daemons, pytest.mark.timeout(600)]


def test_both_scenes(
    engine: DockerEngine, binaries: Binaries, app_images: AppImages, tmp_path: Path, tell: Tell
) -> None:
    with staged(engine, binaries, app_images, tmp_path, 1) as stage:
        restart_cures(stage, tell)
        incident = bad_deploy_is_rolled_back(stage, tell, app_images.v1, app_images.v2)
        assert len(stage.incidents()) == 2
        (dispatch,) = stage.github.dispatches
        assert dispatch.inputs["target_commit"] == app_images.v1.revision
        assert dispatch.inputs["force_rollback"] == "true"
        assert dispatch.inputs["correlation_id"] in stage.github.runs[0].title
        assert "verified" in incident["verdict"]
        ledger, _ = LedgerFile(stage.product.state / "versions.json").read()
        assert {release.service for release in ledger.releases} == {"app", "minio"}
        pinged = [message for message in stage.discord.messages if message.pings]
        # Where the machine is slow, the call for a person (after 30 s here) comes before the cure.
        called = sum(
            step["action"] == "person" and step["state"] == "done"
            for one in stage.product.incidents()
            for step in one["steps"]
        )
        assert len(pinged) == 2 + called, "one ping for each critical incident and each call"
        every_panel_has_data(stage)
        log = stage.product.log()
        assert stage.github.token not in log
        assert stage.discord.url.rpartition("/")[2] not in log
        assert stage.product.stop() == 0
        assert "Traceback" not in stage.product.log()
