"""Restarts over the lives and identities of containers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from exporter.restarts import Restarts
from target.engine import Container

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
NAME = "sermon-uploader-backend"


def container(minute: float, **changes: object) -> Container:
    plain = Container(
        id="one",
        name=NAME,
        image="app:v1",
        image_id="sha256:1",
        state="running",
        health=None,
        exit_code=0,
        oom_killed=False,
        restart_count=0,
        pid=42,
        created_at=START,
        started_at=START + timedelta(minutes=minute),
        finished_at=None,
        tty=False,
        log_path="",
        restart_policy="unless-stopped",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def count(*sights: Container) -> int:
    restarts = Restarts()
    for sight in sights:
        restarts.observe([sight])
    return restarts.restarts(NAME)


def test_history_is_not_counted() -> None:
    assert count(container(0, restart_count=7)) == 0
    assert Restarts().restarts(NAME) == 0


def test_by_policy() -> None:
    assert count(container(0), container(1, restart_count=1)) == 1
    assert count(container(0), container(3, restart_count=3)) == 3


def test_the_wait_before_a_restart_is_not_a_second_one() -> None:
    waiting = container(0, restart_count=1, state="restarting")
    assert count(container(0), waiting) == 0
    assert count(container(0), waiting, container(1, restart_count=1)) == 1
    assert count(waiting, container(1, restart_count=1)) == 1


def test_by_hand() -> None:
    """``docker restart`` sets RestartCount back to 0."""
    assert count(container(0), container(1)) == 1
    assert count(container(0, restart_count=4), container(1)) == 1
    assert count(container(0, restart_count=4), container(1, restart_count=2)) == 3


def test_stopping_is_not_restarting() -> None:
    stopped = container(0, state="exited", finished_at=START)
    assert count(container(0), stopped, stopped) == 0
    assert count(container(0), stopped, container(5)) == 1


def test_recreated() -> None:
    assert count(container(0), container(1, id="two")) == 1
    assert count(container(0), container(1, id="two", restart_count=2)) == 3
    created = container(0, id="two", state="created", started_at=None)
    assert count(container(0), created, container(1, id="two")) == 1


def test_recreated_after_being_away() -> None:
    restarts = Restarts()
    restarts.observe([container(0)])
    restarts.observe([])
    restarts.observe([container(1, id="two")])
    assert restarts.restarts(NAME) == 1


def test_names_are_remembered_within_bounds() -> None:
    restarts = Restarts()
    restarts.observe([container(0)])
    restarts.observe([container(1)])
    for number in range(2000):
        restarts.observe([container(1), container(0, name=f"x{number}", id=f"x{number}")])
    assert restarts.restarts(NAME) == 1
    assert restarts.restarts("x0") == 0


def test_kills_are_counted_by_event_or_else_by_inspection() -> None:
    told, untold, history = Restarts(), Restarts(), Restarts()
    killed = container(0, oom_killed=True, state="exited", finished_at=START)
    told.observe([container(0)])
    told.killed("one")
    told.observe([killed])
    told.observe([killed])
    assert told.kills("one") == 1
    untold.observe([container(0)])
    untold.observe([killed])
    untold.observe([killed])
    assert untold.kills("one") == 1
    again = replace(killed, finished_at=START + timedelta(minutes=1))
    untold.observe([again])
    assert untold.kills("one") == 2
    history.observe([killed])
    assert history.kills("one") == 0
