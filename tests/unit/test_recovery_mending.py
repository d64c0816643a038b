"""quick-fix, cleanup and post-deploy as values: what they would do, and what they leave alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recovery.acts import Start, Stop, Unpause, Up, Well
from recovery.checks.project import Pin
from recovery.cleanup import Garbage, PruneBuildCache, RemoveFile, RemoveImage, plan_cleanup
from recovery.deployments import engine_words
from recovery.finding import Finding, healthy, ranked, verdict
from recovery.postdeploy import DropNote, Quiet, ReleasePin, RunsWanted, plan_post_deploy
from recovery.quickfix import plan_quick_fix
from recovery.steps import Plan
from target.reclaimable import Reclaimable, reclaimable
from target.versions import Facts as Image
from target.versions import Ledger, judge, observe
from tests.unit.recovery_kit import NOW, V1, V2, backend, facts, minio

APP, MINIO = "sermon-uploader-backend", "sermon-uploader-minio"
APP_URL = "http://127.0.0.1:8000/api/health"
HUNG = engine_words("the Engine at unix:///var/run/docker.sock does not answer (TimeoutError)")
SILENT = Finding("problem", "application", f"{APP_URL}: connection refused", "x")


def acts(plan: Plan) -> list[object]:
    return [step.act for step in plan.steps]


def down(what: str, words: str = "exited with code 1") -> Finding:
    return Finding("problem", what, words, "mend")


@pytest.mark.parametrize(
    ("containers", "found", "wanted"),
    [
        ((minio(), backend(state="exited")), [SILENT, down(APP)], [Start(f"id-{APP}", APP)]),
        ((minio(), backend(state="paused")), [SILENT, down(APP)], [Unpause(f"id-{APP}")]),
        ((minio(), backend()), [SILENT], [Stop(f"id-{APP}", APP, 10), Start(f"id-{APP}", APP)]),
        ((minio(), backend(health="unhealthy")), [down(APP)], [Stop(f"id-{APP}", APP, 10), Start(f"id-{APP}", APP)]),
        ((minio(),), [SILENT, down("backend", "has no container")], [Up("backend")]),
    ],
    ids=["stopped", "paused", "does not answer", "unhealthy", "no container"],
)  # fmt: skip
def test_what_is_broken_is_mended_and_what_is_well_is_left_alone(
    containers: tuple[Any, ...], found: list[Finding], wanted: list[object]
) -> None:
    plan = plan_quick_fix(facts(*containers), found, Garbage(), 60)
    assert acts(plan) == [*wanted, Well(APP, (APP_URL,), 60)]
    assert any("application" in note or APP in note or "backend" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("changes", "found", "said"),
    [
        ({"containers": (minio(),), "held": {8000: "nginx"}}, [down("port 8000")], "held by nginx"),
        ({"engine_problem": "it is down"}, [down("Docker Engine", "it is down")], "systemctl start docker"),
        ({"engine_problem": HUNG}, [down("Docker Engine", HUNG)], "systemctl restart docker"),
        ({}, [down("disk", "read-only")], "without a decision"),
        ({"containers": (minio(),), "images": {}}, [down("backend", "has no container")], "not on this machine"),
    ],
    ids=["port taken", "no Engine", "an Engine that hangs", "a dead disk", "no image"],
)  # fmt: skip
def test_what_needs_a_decision_is_refused_with_what_to_type(
    changes: dict[str, Any], found: list[Finding], said: str
) -> None:
    plan = plan_quick_fix(facts(**changes), found, Garbage())
    assert said in plan.refusal
    assert not plan.steps


def test_nothing_broken_is_nothing_to_mend() -> None:
    plan = plan_quick_fix(facts(), [Finding("warning", "load", "high")], Garbage())
    assert not plan.steps
    assert not plan.refusal


def test_a_full_disk_is_cleaned_up_first() -> None:
    room = Garbage(build_cache_bytes=10)
    plan = plan_quick_fix(facts(minio(), backend(state="exited")), [down("disk"), down(APP)], room)
    assert acts(plan)[0] == PruneBuildCache()


# cleanup


def image(number: int, *names: str, **changes: Any) -> dict[str, Any]:
    made = {
        "Id": f"sha256:{number}",
        "RepoTags": list(names) or ["<none>:<none>"],
        "Size": 100,
        "SharedSize": 40,
    }
    return made | changes


REPOSITORY = {"hub/app"}


@pytest.mark.parametrize(
    ("one", "goes"),
    [
        (image(1, "hub/app:old"), True),
        (image(1), True),
        (image(1, "postgres:15"), False),
        (image(1, "hub/app:old", Containers=1), False),
        (image(1, "hub/app:named"), False),
        (image(1, "hub/app:old", "sermon-monitor/known-good:app-1"), False),
        (image(1, "sermon-monitor/before-rollback:app"), False),
        (image(1, RepoTags=[], RepoDigests=["postgres@sha256:0"]), False),
        (image(1, RepoTags=None, RepoDigests=["hub/app@sha256:0"]), True),
    ],
)
def test_only_what_nothing_needs_goes(one: dict[str, Any], goes: bool) -> None:
    found = reclaimable([one], [], Ledger(), {"hub/app:named"}, REPOSITORY)
    assert bool(found) is goes
    assert [f.bytes for f in found] == ([60] if goes else [])


def test_what_a_container_is_of_stays() -> None:
    one = image(1, "hub/app:old", Id=V1)
    assert not reclaimable([one], [backend(image_id=V1, state="exited")], Ledger(), (), REPOSITORY)


def test_what_runs_and_what_was_good_lately_stays() -> None:
    ledger = Ledger()
    for number in range(6):
        ledger = observe(ledger, "app", Image(f"hub/app:v{number}", f"sha256:{number}"), NOW)
        if number < 5:
            for minute in (0, 20):
                ledger = judge(
                    ledger, "app", True, NOW.replace(minute=minute), NOW.replace(minute=15) - NOW
                )
    images = [image(number, f"hub/app:v{number}") for number in range(6)]
    found = reclaimable(images, [], ledger, (), REPOSITORY)
    assert sorted(f.id for f in found) == ["sha256:0", "sha256:1"]


def test_bytes_are_said_before_and_each_step_says_what_is_lost() -> None:
    found = Garbage(
        (Reclaimable("sha256:1", ("hub/app:old",), 2 * 1024**3),), 1024**2, ((Path("/x/.y"), 5),)
    )
    plan = plan_cleanup(facts(), found)
    assert plan.title == "make room: up to 2.0 GiB"
    assert acts(plan)[:3] == [
        RemoveImage("sha256:1", ("hub/app:old",)),
        PruneBuildCache(),
        RemoveFile(Path("/x/.y")),
    ]
    assert all(step.loses and step.undo for step in plan.steps[:-1])
    assert "docker pull hub/app:old" in plan.steps[0].undo
    assert plan.goes_on


# post-deploy


PIN = Pin(Path("/opt/x/compose.yml"), "backend", "hub/app@sha256:0", "hub/app:pi5")


def test_a_deployment_is_proven_by_image_health_and_log() -> None:
    plan = plan_post_deploy(facts(backend()), {}, 60)
    wanted = RunsWanted(APP, "sermon-uploader:v1", V1)
    # MinIO has no container here, so nothing is proven at all.
    assert "minio" in plan.refusal
    plan = plan_post_deploy(facts(), {}, 60)
    assert acts(plan)[3:] == [wanted, Well(APP, (APP_URL,), 60), Quiet(APP)]


@pytest.mark.parametrize(
    ("pin", "original", "release", "last"),
    [
        (PIN, V1, False, ReleasePin("backend")),
        (PIN, V2, False, Quiet(APP)),
        (PIN, "", False, Quiet(APP)),
        (PIN, V2, True, ReleasePin("backend")),
        (PIN._replace(image="hub/app:master-1f0c9aa"), V2, False, DropNote("backend")),
    ],
    ids=[
        "deployed",
        "still pinned",
        "the old tag is not here",
        "asked for",
        "the line was rewritten",
    ],
)
def test_a_pin_is_released_only_where_a_restart_would_change_nothing(
    pin: Pin, original: str, release: bool, last: object
) -> None:
    plan = plan_post_deploy(facts(), {pin: original}, 60, release=release)
    assert acts(plan)[-1] == last
    stays = isinstance(last, Quiet)
    assert any("stays" in note for note in plan.notes) is stays


# findings


def test_the_worst_comes_first_and_the_verdict_counts() -> None:
    found = [
        Finding("ok", "a", ""),
        Finding("note", "b", ""),
        Finding("problem", "c", ""),
        Finding("warning", "d", ""),
    ]
    assert [f.what for f in ranked(found)] == ["c", "d", "b", "a"]
    assert verdict(found) == "unhealthy: 1 problem, 1 warning, 1 note"
    assert verdict(found[:2]) == "healthy (1 note)"
    assert verdict([found[0], found[3]]) == "healthy: 1 warning"
    assert healthy(found[:2])
    assert not healthy(found)
