"""What the toolkit would do, as values: from facts to ordered steps, refusals and notes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recovery.acts import Start, Stop, Up, Well
from recovery.deployments import Facts
from recovery.services import plan_emergency_restart, plan_restart
from recovery.settings import RecoverySettings
from recovery.steps import Plan
from recovery.stop import Stopped, plan_stop
from target.compose import Service
from tests.unit.recovery_kit import V2, backend, container, facts, minio, project

Make = Callable[[Facts], Plan]
APP, MINIO = "sermon-uploader-backend", "sermon-uploader-minio"
APP_URL, MINIO_URL = "http://127.0.0.1:8000/api/health", "http://127.0.0.1:9000/minio/health/live"


def acts(plan: Plan) -> list[object]:
    return [step.act for step in plan.steps]


def test_the_application_stops_before_its_storage() -> None:
    assert acts(plan_stop(facts())) == [
        Stop(f"id-{APP}", APP, 10),
        Stop(f"id-{MINIO}", MINIO, 30),
        Stopped((APP, MINIO)),
    ]


def test_every_step_that_stops_says_what_is_lost_and_how_it_is_undone() -> None:
    for step in plan_stop(facts()).steps[:-1]:
        assert step.loses
        assert "emergency-restart" in step.undo


@pytest.mark.parametrize("state", ["running", "restarting", "paused"])
def test_whatever_lives_is_stopped(state: str) -> None:
    assert len(plan_stop(facts(backend(state=state))).steps) == 2


@pytest.mark.parametrize("state", ["exited", "created", "dead"])
def test_nothing_that_lives_is_nothing_to_stop(state: str) -> None:
    plan = plan_stop(facts(backend(state=state)))
    assert not plan.steps
    assert state in plan.title
    assert not plan.refusal


def test_a_container_that_comes_back_at_boot_is_said() -> None:
    notes = plan_stop(facts(backend(restart_policy="always"))).notes
    assert any("when the machine boots" in note for note in notes)


def test_a_missing_directory_keeps_nobody_from_stopping() -> None:
    plan = plan_stop(facts(project=None, compose_problem="no such directory"))
    assert len(plan.steps) == 3
    assert any("no such directory" in note for note in plan.notes)
    assert plan.locked_by_others


@pytest.mark.parametrize("state", ["running", "exited"])
def test_what_another_change_starts_meanwhile_is_stopped_too(state: str) -> None:
    """Also where at this moment nothing runs: a rollback is between stop and start."""
    plan = plan_stop(facts(backend(state=state)), "pid 7 since noon")
    assert "until the other change has ended" in plan.steps[-1].words
    assert any("pid 7 since noon" in note for note in plan.notes)


@pytest.mark.parametrize("make", [plan_stop, plan_restart, plan_emergency_restart])
def test_an_engine_that_does_not_answer_refuses(make: Make) -> None:
    plan = make(facts(containers=(), engine_problem="it does not answer"))
    assert "it does not answer" in plan.refusal
    assert "systemctl" in plan.refusal


def test_a_restart_stops_backwards_and_starts_forwards() -> None:
    assert acts(plan_restart(facts(), 60)) == [
        Stop(f"id-{APP}", APP, 10),
        Stop(f"id-{MINIO}", MINIO, 30),
        Up("minio"),
        Well(MINIO, (MINIO_URL,), 60),
        Up("backend"),
        Well(APP, (APP_URL,), 60),
    ]


def test_without_compose_files_containers_are_started_as_they_are() -> None:
    plan = plan_restart(facts(project=None, compose_problem="no compose file"), 60)
    assert acts(plan)[2:] == [
        Start(f"id-{MINIO}", MINIO),
        Well(MINIO, (MINIO_URL,), 60),
        Start(f"id-{APP}", APP),
        Well(APP, (APP_URL,), 60),
    ]
    assert "no compose file" in plan.notes[0]


def test_an_image_that_is_not_here_refuses_before_anything_is_stopped() -> None:
    plan = plan_restart(facts(images={}))
    assert "minio/minio:latest, sermon-uploader:v1" in plan.refusal
    assert not plan.steps


@pytest.mark.parametrize("make", [plan_restart, plan_emergency_restart])
def test_a_port_that_is_taken_refuses_before_anything_is_stopped(make: Make) -> None:
    here = facts(
        minio(), backend(state="exited"), held={8000: "nginx (pid 3)", 9000: "docker-proxy"}
    )
    plan = make(here)
    assert "port 8000, which backend needs, is held by nginx (pid 3)" in plan.refusal
    assert "9000" not in plan.refusal
    assert not plan.steps


@pytest.mark.parametrize("state", ["running", "restarting", "paused"])
def test_a_port_of_its_own_is_taken_by_nobody_else(state: str) -> None:
    here = facts(minio(state=state), backend(), held={9000: "docker-proxy (pid 3)"})
    assert not plan_restart(here).refusal


def test_a_restart_that_is_a_deployment_says_so() -> None:
    images = {"sermon-uploader:v1": V2, "minio/minio:latest": minio().image_id}
    (note,) = plan_restart(facts(images=images)).notes
    assert note.startswith("backend gets another image")


def test_an_emergency_restart_needs_no_image_of_what_has_a_container() -> None:
    plan = plan_emergency_restart(
        facts(minio(state="exited"), backend(state="exited"), images={}), 60
    )
    assert acts(plan) == [
        Start(f"id-{MINIO}", MINIO),
        Well(MINIO, (MINIO_URL,), 60),
        Start(f"id-{APP}", APP),
        Well(APP, (APP_URL,), 60),
    ]


def test_what_has_no_container_is_made_from_the_files() -> None:
    plan = plan_emergency_restart(facts(minio()), 60)
    assert acts(plan)[-2:] == [Up("backend"), Well(APP, (APP_URL,), 60)]


def test_nothing_to_start_from_refuses() -> None:
    plan = plan_emergency_restart(
        facts(containers=(), project=None, compose_problem="no directory")
    )
    assert "no directory" in plan.refusal


def shared(**changes: object) -> Facts:
    """App and MinIO in one container, as docker-compose.single.yml has them."""
    one = Service("sermon-uploader", "", "sermon-uploader:v1", False, (), (8000, 9000))
    here = container(
        "sermon-uploader-sermon-uploader-1", service="sermon-uploader", project="sermon-uploader"
    )
    return facts(here, project=project(one), **changes)


@pytest.mark.parametrize(
    "settings",
    [RecoverySettings(), RecoverySettings(minio_service=("sermon-uploader",))],
    ids=["nothing is set", "MINIO_SERVICE names it too"],
)
def test_one_container_that_is_both_answers_at_both_addresses(settings: RecoverySettings) -> None:
    both = shared(settings=settings)
    (stop, _, well) = acts(plan_restart(both, 60))
    assert stop == Stop(
        "id-sermon-uploader-sermon-uploader-1", "sermon-uploader-sermon-uploader-1", 30
    )
    assert well == Well("sermon-uploader-sermon-uploader-1", (MINIO_URL, APP_URL), 60)


def test_services_of_the_files_start_after_what_they_need() -> None:
    a = Service("a", "", "i", False, ("b",))
    b = Service("b", "", "i", False, ("c",))
    c = Service("c", "", "i", False, ())
    plan = plan_restart(facts(minio(), project=project(a, b, c), images={"i": "x"}))
    assert [act for act in acts(plan) if isinstance(act, Up)] == [Up("c"), Up("b"), Up("a")]
