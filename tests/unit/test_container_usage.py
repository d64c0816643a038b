"""The usage of several containers when one of them vanishes in the middle of its reading."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.cgroups import Tree
from exporter.container_usage import UsageReader
from exporter.context import ContainerLabels
from exporter.devices import Devices
from tests.unit.test_cgroup_reader import CONTAINER, v1, v2
from tests.unit.test_cgroups import ID, write

OTHER = replace(CONTAINER, id="b" * 64, name="minio", pid=43)
BOTH = (CONTAINER, OTHER)
Files = Callable[..., dict[str, bytes]]
PATHS = {v1: f"docker/{OTHER.id}", v2: f"system.slice/docker-{OTHER.id}.scope"}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[UsageReader]:
    tree, devices = Tree(tmp_path / "cgroup", tmp_path / "proc"), Devices(tmp_path / "proc")
    made = UsageReader(tree, ContainerLabels(), devices, lambda _: None)
    yield made
    made.close()


def descriptors(key: str, pid: int) -> list[int]:
    """Ours that are open on the files of one container."""
    found = []
    for one in os.listdir("/proc/self/fd"):  # noqa: PTH208 - one of them is that of the listing itself
        link = f"/proc/self/fd/{one}"
        if os.path.lexists(link) and any(p in os.readlink(link) for p in (key, f"/{pid}/")):  # noqa: PTH115
            found.append(int(one))
    return found


def vanishing(its: list[int], place: int) -> Callable[[int, int, int], bytes]:
    """os.pread, but from the reading number ``place`` of these descriptors on nothing of theirs is there."""
    pread, read = os.pread, 0

    def read_at(fd: int, size: int, at: int) -> bytes:
        nonlocal read
        read += fd in its
        if fd in its and read > place:
            raise OSError(errno.ENODEV, "No such device")
        return pread(fd, size, at)

    return read_at


@pytest.mark.parametrize("tree", [v1, v2], ids=["v1", "v2"])
@pytest.mark.parametrize("begins_again", [False, True])
def test_a_group_that_vanishes_while_it_is_read(
    tmp_path: Path,
    reader: UsageReader,
    monkeypatch: pytest.MonkeyPatch,
    tree: Files,
    begins_again: bool,
) -> None:
    """At each of its files; the kernel answers ENODEV from then on, also when a new group has the same path."""
    place, places = 0, 1
    while place < places:
        for files in (tree(PATHS[tree], OTHER.pid), tree()):
            write(tmp_path, files)
        whole = reader.read(BOTH, ())
        assert (len(whole.rows), whole.missed) == (2, set())
        its = descriptors(ID, CONTAINER.pid)
        places = len(its)
        with monkeypatch.context() as patched:
            patched.setattr(os, "pread", vanishing(its, place))
            told = reader.read(BOTH, ())
        assert [row.labels["name"] for row in told.rows] == ["minio"]
        assert (told.missed, sum(told.unreadable.values())) == ({ID}, 1)
        assert descriptors(ID, CONTAINER.pid) == []
        if not begins_again:
            shutil.rmtree(tmp_path / "proc" / str(CONTAINER.pid))
        told = reader.read(BOTH, ())
        assert len(told.rows) == 1 + begins_again
        assert told.missed == (set() if begins_again else {ID})
        place += 1
    assert places >= 8
