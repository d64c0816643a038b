"""Discovery against an Engine that hangs in part, loses events, tells them twice, or answers nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from target.discovery import Discovery, Rhythm
from target.engine import Engine, EngineError
from target.engine_frames import Event
from target.engine_reader import MAX_ANSWER_BYTES, EngineReader
from target.engine_stream import EngineStream
from tests.parts.exporter_kit import QUICK, WITHIN
from tests.parts.scripted_engine import ScriptedEngine

PATIENT = replace(QUICK, relist=3600.0, ping=3600.0, answer=0.5)
"""Asks nothing that no event tells it to ask."""


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[ScriptedEngine]:
    async with ScriptedEngine(tmp_path / "engine.sock").serving() as engine:
        yield engine


@asynccontextmanager
async def discovering(engine: ScriptedEngine, rhythm: Rhythm) -> AsyncIterator[Discovery]:
    discovery = Discovery(
        Engine(engine.host), ".*", stream=EngineStream(engine.host, 2.0), rhythm=rhythm
    )
    task = asyncio.create_task(discovery.run())
    try:
        yield discovery
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(WITHIN):
            while not condition():  # noqa: ASYNC110 - what it looks at has no event of its own
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited for {what}") from None


def states(discovery: Discovery) -> dict[str, str]:
    return {one.id: one.state for one in discovery.watched()}


async def test_only_what_an_event_names_is_inspected(scripted: ScriptedEngine) -> None:
    for key in ("a", "b", "c"):
        scripted.add(key)
    async with discovering(scripted, PATIENT) as discovery:
        await until(lambda: len(states(discovery)) == 3, "the list")
        watched = discovery.watched()
        assert discovery.watched() is watched
        scripted.add("b", Status="paused")
        scripted.tell("pause", "b", 1)
        await until(lambda: states(discovery)["b"] == "paused", "the pause")
        assert scripted.asked["/containers/json"] == 1
        assert scripted.asked["/containers/a/json"] == 1
        assert scripted.asked["/containers/b/json"] == 2
        assert scripted.asked["/_ping"] == 0


async def test_what_an_event_says_by_itself_acts_at_once(scripted: ScriptedEngine) -> None:
    for key in ("a", "b"):
        scripted.add(key)
    slow = replace(PATIENT, debounce=3600.0)
    async with discovering(scripted, slow) as discovery:
        await until(lambda: len(states(discovery)) == 2, "the list")
        scripted.tell("die", "a", 1, exitCode="137")
        await until(lambda: states(discovery)["a"] == "exited", "the death")
        dead = discovery.containers[0]
        assert (dead.exit_code, dead.pid) == (137, 0)
        scripted.tell("destroy", "a", 2)
        await until(lambda: states(discovery) == {"b": "running"}, "the removal")


async def test_one_container_that_cannot_be_inspected_spoils_no_other(
    scripted: ScriptedEngine,
) -> None:
    for key in ("a", "b", "c"):
        scripted.add(key)
    scripted.hung = {"a"}
    rhythm = replace(PATIENT, ping=0.05)
    async with discovering(scripted, rhythm) as discovery:
        await until(lambda: states(discovery) == {"b": "running", "c": "running"}, "the others")
        assert "does not answer" in discovery.unread["a"]
        scripted.hung = {"b"}
        scripted.tell("health_status: healthy", "b", 1)
        await until(lambda: set(discovery.unread) == {"b"}, "the other hung one")
        assert states(discovery) == {"a": "running", "b": "running", "c": "running"}
        scripted.tell("die", "b", 2)
        await until(lambda: states(discovery)["b"] == "exited", "its death all the same")
        scripted.hung = set()
        await until(lambda: not discovery.unread, "its inspection at last")


async def test_an_engine_that_hangs_altogether_is_found_out(scripted: ScriptedEngine) -> None:
    scripted.add("a")
    rhythm = replace(PATIENT, ping=0.05)
    async with discovering(scripted, rhythm) as discovery:
        await until(lambda: discovery.connected, "the Engine")
        scripted.hung = {"*"}
        await until(lambda: not discovery.connected, "its silence")
        assert "does not answer" in discovery.error
        scripted.hung = set()
        scripted.add("b")
        await until(lambda: len(states(discovery)) == 2, "its return")
        assert discovery.connections == 2


async def test_lost_events_are_healed_by_the_list(scripted: ScriptedEngine) -> None:
    for key in ("a", "b", "c"):
        scripted.add(key)
    rhythm = replace(PATIENT, ping=0.02, relist=0.1)
    async with discovering(scripted, rhythm) as discovery:
        await until(lambda: len(states(discovery)) == 3, "the list")
        del scripted.containers["a"]
        scripted.add("b", Status="exited")
        scripted.add("d")
        healed = {"b": "exited", "c": "running", "d": "running"}
        await until(lambda: states(discovery) == healed, "the truth")
        assert scripted.asked["/containers/c/json"] == 1


async def test_after_a_break_each_event_counts_once(scripted: ScriptedEngine) -> None:
    scripted.add("a")
    told: list[Event] = []
    async with discovering(scripted, PATIENT) as discovery:
        discovery.on_event(told.append)
        await until(lambda: discovery.connected, "the Engine")
        scripted.history.append(scripted.tell("oom", "a", 1))
        await until(lambda: len(told) == 1, "the first event")
        scripted.cut()
        scripted.history.append(scripted.tell("oom", "a", 2))
        scripted.history.append(scripted.tell("die", "a", 3))
        await until(lambda: len(told) == 3, "what was told meanwhile")
        await until(lambda: discovery.connections == 2 and scripted.followed, "a connection")
        scripted.cut()
        await until(lambda: discovery.connections == 3 and scripted.followed, "another one")
        scripted.tell("start", "a", 4)
        await until(lambda: len(told) == 4, "a new event")
    assert [one.time_nano for one in told] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"x" * (MAX_ANSWER_BYTES + 1), "longer than"),
        (b"[" * 200_000, "no JSON"),
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"9" * 10_000, "no JSON"),
        (b'{"message": "no"}', "no list"),
        (b'[{"Id": 5}]', "cannot be read"),
    ],
)
async def test_hostile_answers(scripted: ScriptedEngine, body: bytes, words: str) -> None:
    scripted.raw["/containers/json"] = body
    reader = EngineReader(scripted.host, 10.0)
    try:
        with pytest.raises(EngineError, match=words):
            await reader.listed()
        await reader.ping()
    finally:
        await reader.close()


async def test_an_id_is_no_path(scripted: ScriptedEngine) -> None:
    reader = EngineReader(scripted.host, 10.0)
    try:
        with pytest.raises(EngineError) as refused:
            await reader.container("../_ping?x=")
        assert refused.value.missing
    finally:
        await reader.close()


async def test_a_storm_of_events_for_nothing(scripted: ScriptedEngine) -> None:
    """Ids that do not exist, each asked for once, leave nothing behind."""
    scripted.add("a")
    async with discovering(scripted, PATIENT) as discovery:
        await until(lambda: discovery.connected, "the Engine")
        for number in range(2000):
            scripted.tell("die", f"x{number}", number + 1)
            if number % 2:  # removed before it can be asked for
                scripted.tell("destroy", f"x{number}", number + 1)
        scripted.add("a", Status="paused")
        scripted.tell("pause", "a", 5000)
        await until(lambda: states(discovery) == {"a": "paused"}, "the one that exists")
        await until(lambda: not discovery._dirty, "the end of the storm")
        assert not discovery._died
        assert len(discovery._told) <= 1024
