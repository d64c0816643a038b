"""Where a rollback goes when the ledger knows no good version, and when it must not go anywhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from target.version_keeper import LedgerFile
from target.versions import Ledger, mark
from tests.parts.receiver_kit import application, body, ended, step
from tests.parts.rollback_kit import Stage, stage

__all__ = ["stage"]  # the fixture
pytestmark = pytest.mark.engine


def ledger(stage: Stage) -> LedgerFile:
    return LedgerFile(stage.directory / "state" / "versions.json")


@pytest.fixture
def forgotten(stage: Stage) -> Stage:
    """A stage whose ledger knows nothing."""
    ledger(stage).save(Ledger())
    return stage


async def test_the_newest_deployment_that_github_says_went_well(forgotten: Stage) -> None:
    """Not the running one's, not a failed one, not one whose end GitHub has forgotten."""
    stage = forgotten
    v1, v2 = stage.images.v1.revision, stage.images.v2.revision
    stage.github.add_deployment("9" * 40)
    stage.github.add_deployment(v1, states=("in_progress", "success", "inactive"))
    stage.github.add_deployment("7" * 40, states=("in_progress", "failure"))
    stage.github.add_deployment("8" * 40, states=())
    stage.github.add_deployment("6" * 40, environment="preview")
    stage.github.add_deployment(v2)
    async with application() as app:
        app.well = False

        async def roll_back(run: Any) -> None:
            if run.status == "in_progress":
                await stage.run(stage.images.v1.tag)
                app.well = True

        stage.github.hook("run", roll_back)
        async with stage.receiver(APP_URL=app.url) as running:
            await running.post(body())
            incident = await running.until(ended("rollback", "done", "failed"), "the end")
    assert step(incident, "rollback")["state"] == "done", step(incident, "rollback")
    (dispatch,) = stage.github.dispatches
    assert dispatch.inputs["target_commit"] == v1
    assert dispatch.inputs["target_image"] == ""
    assert v1[:7] in incident["verdict"]


async def test_a_run_that_brings_another_commit_is_no_rollback(forgotten: Stage) -> None:
    stage = forgotten
    stage.github.add_deployment(stage.images.v1.revision)
    async with stage.receiver(timing={"verify_deadline": "1s"}) as running:
        rollback = await stage.failed(running)
    assert f"of commit {stage.images.v2.revision[:7]}, meant was" in rollback["words"]


async def test_a_version_that_was_found_bad_here_is_no_target(stage: Stage) -> None:
    v1, v2 = stage.images.v1, stage.images.v2
    file = ledger(stage)
    for release in file.read()[0].releases:
        file.save(mark(file.read()[0], stage.name, release.image_id, verdict="bad"))
    stage.github.add_deployment(v1.revision)
    stage.github.add_deployment(v2.revision)
    async with stage.receiver() as running:
        rollback = await stage.refused(running)
    assert "GitHub knows no other version" in rollback["words"]


@pytest.mark.parametrize(
    ("trouble", "words", "state"),
    [
        ("permission", "may not see GitHub's deployments", "refused"),
        ("server", "GitHub's deployments: GitHub answered 500", "pending"),
        ("none", "GitHub knows no other version that was deployed well", "refused"),
        ("forgotten", "GitHub has forgotten how they ended", "refused"),
    ],
)
async def test_without_a_deployment_nothing_is_guessed(
    forgotten: Stage, trouble: str, words: str, state: str
) -> None:
    stage = forgotten
    if trouble == "permission":
        del stage.github.permissions["deployments"]
    elif trouble == "server":
        stage.github.fail_next(500, part="/deployments", times=1000)
    elif trouble == "forgotten":
        stage.github.add_deployment("9" * 40, states=())
    async with stage.receiver() as running:
        await running.post(body())
        incident = await running.until(
            lambda i: words in step(i, "rollback").get("words", ""), "the words"
        )
        assert step(incident, "rollback")["state"] == state
    assert stage.github.dispatches == []


@pytest.mark.parametrize("which", ["the running one", "one in between"])
async def test_no_version_older_than_an_irreversible_one_follows_it(
    stage: Stage, which: str
) -> None:
    """v1 was good; then v2, or one that ran before it, has changed what only newer versions can read."""
    file = ledger(stage)
    known = file.read()[0]
    v1, v2 = known.releases
    if which == "the running one":
        file.save(mark(known, stage.name, v2.image_id, irreversible=True))
    else:
        between = replace(v1, image_id=f"sha256:{'f' * 64}", revision="", verdict="unknown", irreversible=True)  # fmt: skip
        file.save(replace(known, releases=(v1, between, v2)))
    async with stage.receiver() as running:
        rollback = await stage.refused(running)
    assert "is marked irreversible: no version older than it may follow it" in rollback["words"]
    assert stage.github.dispatches == []


async def test_a_broken_ledger_is_no_target(stage: Stage) -> None:
    """It may have known that the running version is irreversible: GitHub is not asked instead."""
    stage.github.add_deployment(stage.images.v1.revision)
    ledger(stage).path.write_text("{ half")
    async with stage.receiver() as running:
        rollback = await stage.refused(running)
    assert "cannot be read" in rollback["words"]
    assert ledger(stage).read()[0].releases == ()


async def test_while_the_engine_does_not_answer_a_rollback_waits(stage: Stage) -> None:
    missing = f"unix://{stage.directory}/no.sock"
    async with stage.receiver(DOCKER_HOST=missing) as running:
        await running.post(body())
        incident = await running.until(lambda i: step(i, "rollback").get("words"), "a reason")
        rollback = step(incident, "rollback")
    assert rollback["state"] == "pending"
    assert "does not answer" in rollback["words"]
