"""Restarts over the lives and identities of containers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exporter.restarts import Restarts
from target.engine import Container
from target.engine_frames import Event

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


def nano(minute: float) -> int:
    return round((START + timedelta(minutes=minute)).timestamp()) * 10**9


def event(action: str, minute: float, container_id: str = "one", name: str = NAME) -> Event:
    return Event(action, container_id, nano(minute), {"name": name})


def fed(*facts: Container | Event) -> Restarts:
    restarts = Restarts()
    for fact in facts:
        if isinstance(fact, Event):
            restarts.take(fact)
        else:
            restarts.observe([fact])
    return restarts


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # Three restarts by hand between two inspections: RestartCount stays 0, the deaths tell.
        ([container(0), *(event("die", m) for m in (1, 2, 3)), container(4)], 3),
        # Three by policy: both tell the same three.
        ([container(0), *(event("die", m) for m in (1, 2, 3)), container(4, restart_count=3)], 3),
        # Two of the three events were lost.
        ([container(0), event("die", 3), container(4, restart_count=3)], 3),
        # The event comes before each inspection and is not counted again by the next.
        ([container(0), event("die", 1), container(2), event("die", 3), container(4)], 2),
        # Death without a start is no restart, until it is started.
        ([container(0), event("die", 1), container(0, state="exited")], 0),
        ([container(0), event("die", 1), container(0, state="exited"), container(2)], 1),
        # A death after the start that was inspected belongs to the next start.
        ([container(0), event("die", 1), event("die", 3), container(2), container(4)], 2),
        # Recreated twice between two inspections, the one in the middle never seen.
        ([container(0), event("die", 1), event("die", 2, "two"), container(3, id="three")], 2),
        # Its creation was seen, so that a crash loop before the first inspection is no history.
        ([event("create", 0), *(event("die", m) for m in (1, 2)), container(3)], 2),
        ([event("create", 0), container(3, restart_count=2)], 2),
        ([event("die", 1), container(3, restart_count=2)], 0),
        # Seen between creation and start, then a crash loop.
        ([container(0, state="created", started_at=None), container(3, restart_count=2)], 2),
        # Another container's death is not ours.
        ([container(0), event("die", 1, "two", "minio"), container(2, restart_count=1)], 1),
        # What the Engine tells again after a reconnect, from before the start that is known.
        ([container(5), event("die", 1), event("die", 2), container(6)], 1),
    ],
)
def test_what_inspections_miss_and_what_events_miss(
    facts: list[Container | Event], expected: int
) -> None:
    assert fed(*facts).restarts(NAME) == expected


def test_compose_recreates_under_a_name_of_its_own_first() -> None:
    """Created as ``<id12>_name``, the old one stopped and removed, then renamed and started."""
    tmp = f"0123456789ab_{NAME}"
    created = container(0, id="two", name=tmp, state="created", started_at=None)
    restarts = fed(container(0), event("create", 1, "two", tmp))
    restarts.observe([container(0), created])
    restarts.take(event("die", 2))
    restarts.observe([container(0, state="exited"), created])
    restarts.observe([replace(created, name=NAME)])
    assert restarts.restarts(NAME) == 0
    restarts.observe([container(3, id="two")])
    assert restarts.restarts(NAME) == 1
    assert restarts.restarts(tmp) == 0


def test_the_old_one_is_renamed_out_of_the_way() -> None:
    away = f"0123456789ab_{NAME}"
    restarts = fed(container(0))
    restarts.observe([container(0, name=away)])
    restarts.take(event("die", 1, name=away))
    restarts.observe([container(0, name=away, state="exited"), container(2, id="two")])
    assert restarts.restarts(NAME) == 1
    assert restarts.restarts(away) == 0


ENDED = container(0, oom_killed=True, state="exited", finished_at=START + timedelta(minutes=1))
AGAIN = replace(ENDED, finished_at=START + timedelta(minutes=3))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([container(0), event("oom", 1), ENDED, ENDED], 1),
        ([container(0), ENDED, ENDED], 1),  # no event: the inspection tells
        ([container(0), ENDED, event("oom", 1)], 1),  # the event is late
        ([container(0), ENDED, event("oom", 1), event("oom", 3), AGAIN], 2),
        ([container(0), ENDED, AGAIN], 2),
        ([container(0), ENDED, event("oom", 3), AGAIN], 2),
        # A child was killed, the container lives; then it is killed itself.
        ([container(0), event("oom", 0.5), event("oom", 1), ENDED], 2),
        ([ENDED], 0),  # history
        ([event("create", 0), ENDED], 1),  # not history
        # The event comes before the first inspection, which shows an older end.
        ([event("oom", 2), replace(ENDED, oom_killed=False, state="running"), AGAIN], 1),
    ],
)
def test_kills_are_counted_by_event_or_else_by_inspection(
    facts: list[Container | Event], expected: int
) -> None:
    assert fed(*facts).kills("one") == expected


def test_memory_is_bounded() -> None:
    restarts = Restarts()
    for number in range(3000):
        for action in ("create", "oom", "die", "exec_start"):
            restarts.take(event(action, number, f"c{number}", f"n{number}"))
    restarts.observe([container(0)])
    for minute in range(5000):
        restarts.take(event("die", minute))
    kept = (len(restarts._lives), len(restarts._kills), len(restarts._created))
    assert max(kept) <= 512
    assert len(restarts._lives[NAME].deaths) <= 512


def test_little_is_kept_of_what_comes_and_goes() -> None:
    restarts = Restarts()
    stays = container(0)
    for number in range(300):
        for action in ("create", "die"):
            restarts.take(event(action, number, f"c{number}", f"n{number}"))
        restarts.observe([stays, replace(stays, id=f"c{number}", name=f"n{number}")])
        restarts.observe([stays])
        restarts.take(event("destroy", number, f"c{number}", f"n{number}"))
    assert len(restarts._lives) == len(restarts._kills) == 65  # what stays, and 64 that are gone
    assert not restarts._created


def test_as_many_as_were_there_at_once_are_known_again_when_they_come_back() -> None:
    restarts = Restarts()
    before = [replace(container(0), id=f"a{n}", name=f"n{n}") for n in range(200)]
    restarts.observe(before)
    restarts.observe([])
    restarts.observe(
        [replace(one, id=f"b{one.id}", started_at=START + timedelta(hours=1)) for one in before]
    )
    assert {restarts.restarts(one.name) for one in before} == {1}
