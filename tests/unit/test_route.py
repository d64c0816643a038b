"""By which way a rollback goes, where this machine alone could do it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from receiver.rollback.route import Router
from receiver.rollback.way_back import RollbackTarget
from receiver.settings import ReceiverSettings
from target.engine import Engine
from target.versions import Release
from tests.unit.test_cgroup_reader import CONTAINER, STARTED

GOOD = Release("sermon-uploader", "a:v1", "sha256:1", "", "v1", "", "", STARTED, verdict="good")
FOUND = RollbackTarget(replace(CONTAINER, image_id="sha256:2"), "v1 was good", GOOD)


def router(tmp_path: Path, **settings: str) -> Router:
    given = {"STATE_DIR": str(tmp_path), "COMPOSE_PROJECT_DIR": str(tmp_path), **settings}
    engine = Engine(f"unix://{tmp_path}/no.sock")
    return Router(ReceiverSettings.model_validate(given), "auto", engine, None)


async def test_an_engine_that_falls_silent_just_now_is_waited_for(tmp_path: Path) -> None:
    """It answered when the way back was looked up; what it would say of the deployment is not known."""
    route = await router(tmp_path).route(FOUND, STARTED)
    assert (route.way, route.outcome) == ("local", "wait")
    assert "does not answer" in route.words


async def test_what_will_not_pass_by_itself_is_refused(tmp_path: Path) -> None:
    route = await router(tmp_path, MACHINE="elsewhere").route(FOUND, STARTED)
    assert (route.way, route.outcome) == ("github", "refuse")
    assert "nor can this machine do it: its files are on another machine" in route.words
