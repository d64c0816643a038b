"""Containers that are followed no more: one that comes back goes on where it was left, one that is removed leaves nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from exporter import log_follower
from exporter.log_file import Block, LogFile
from exporter.log_follower import LogFollower
from exporter.log_reader import counters
from exporter.traffic import Traffic
from target.discovery import Discovery
from target.engine import Engine
from tests.parts.exporter_kit import QUICK, WITHIN
from tests.parts.scripted_engine import ScriptedEngine

NAME = "sermon-uploader"
KEY = "a" * 64
LATER = "2126-03-01T10:00:00Z"
"""After this process began: all that such a container has written is new."""


class Followed:
    """The logs of an Engine's containers called NAME; each container is KEY or another id of its length."""

    def __init__(self, scripted: ScriptedEngine, rootfs: Path) -> None:
        self.engine = scripted
        self.traffic = Traffic()
        self.counters = counters(self.traffic)
        self._rootfs = rootfs
        self._nano = 0
        self.discovery = Discovery(Engine(scripted.host), f".*{NAME}.*", rhythm=QUICK)
        self.follower = LogFollower(
            self.discovery,
            lambda: [one for one in self.discovery.watched() if one.name == NAME],
            self.counters,
            rootfs=rootfs,
            retry_seconds=(0.01, 0.05),
        )

    def add(self, key: str) -> None:
        self.engine.add(key, NAME, StartedAt=LATER)
        path = f"/var/lib/docker/containers/{key}/{key}-json.log"
        self.engine.containers[key] |= {"Created": LATER, "LogPath": path}
        self._file(key).parent.mkdir(parents=True)
        self._file(key).touch()

    def write(self, key: str, lines: int) -> None:
        with self._file(key).open("a") as file:
            for _ in range(lines):
                self._nano += 1
                stamp = f"2126-03-01T10:00:01.{self._nano:09d}Z"
                file.write(f'{{"log":"a line\\n","stream":"stdout","time":"{stamp}"}}\n')

    def tell(self, action: str, key: str) -> None:
        self._nano += 1
        self.engine.tell(action, key, self._nano)

    def rename(self, key: str, name: str) -> None:
        self.engine.containers[key]["Name"] = f"/{name}"
        self.tell("rename", key)

    def counted(self) -> int:
        self.counters.settle()
        return sum(self.traffic.lines.values())

    def trouble(self) -> str:
        return "".join(one.trouble for one in self.follower.followed)

    def _file(self, key: str) -> Path:
        return self._rootfs / f"var/lib/docker/containers/{key}/{key}-json.log"


@pytest.fixture
async def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Followed]:
    monkeypatch.setattr(log_follower, "POLL_SECONDS", 0.02)
    async with ScriptedEngine(tmp_path / "engine.sock").serving() as scripted:
        made = Followed(scripted, tmp_path / "root")
        running = [asyncio.create_task(one.run()) for one in (made.discovery, made.follower)]
        try:
            yield made
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - it lies behind files and HTTP
            await asyncio.sleep(0.01)


async def test_one_that_comes_back_is_not_counted_twice(followed: Followed) -> None:
    """As when somebody keeps the old container under another name, and takes it back by hand."""
    followed.add(KEY)
    followed.write(KEY, 100)
    await until(lambda: followed.counted() == 100)
    for lines in (110, 120):
        followed.rename(KEY, f"{NAME}-old")
        await until(lambda: not followed.follower.followed)
        followed.write(KEY, 10)
        followed.rename(KEY, NAME)
        await until(lambda: followed.counted() >= lines)  # noqa: B023 - awaited in the same turn
        assert followed.counted() == lines


async def test_a_file_that_hangs_is_said(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk does: nothing is counted any more, and nothing else would say so."""
    monkeypatch.setattr(log_follower, "SILENT_SECONDS", 0.5)
    answers = threading.Event()
    read = LogFile.read

    def hanging(file: LogFile) -> Block:
        answers.wait(WITHIN)
        return read(file)

    monkeypatch.setattr(LogFile, "read", hanging)
    followed.add(KEY)
    followed.write(KEY, 1)
    await until(lambda: bool(followed.trouble()))
    assert f"the log file of {NAME} has not answered for " in followed.trouble()
    answers.set()
    await until(lambda: followed.counted() == 1)
    await until(lambda: not followed.trouble())


def _followers() -> int:
    return sum("LogFollower._follow" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_a_removed_one_that_said_nothing_leaves_no_task(followed: Followed) -> None:
    followed.add(KEY)
    await until(lambda: [one.source for one in followed.follower.followed] == ["file"])
    assert _followers() == 1
    followed.engine.containers[KEY]["State"] |= {"Status": "exited", "Pid": 0}
    followed.tell("die", KEY)
    await until(lambda: [one.running for one in followed.discovery.containers] == [False])
    del followed.engine.containers[KEY]
    followed.tell("destroy", KEY)
    await until(lambda: not followed.follower.followed and not _followers())
