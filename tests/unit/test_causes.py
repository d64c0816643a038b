"""Whether the disk of MinIO has room: which mount a path lies on, and how much is left there."""

from __future__ import annotations

import pytest

from receiver.deciding.causes import LEAST_ROOM, room_on, written_to
from target.engine import EngineError

MOUNTS = {"/": 0.5, "/mnt": 0.5, "/mnt/data": LEAST_ROOM, "/mnt/full": LEAST_ROOM - 0.001, "": 0.0}


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["/srv/minio"], ""),
        (["/mnt/data"], ""),
        (["/mnt/data/minio"], ""),
        (["/mnt/database"], ""),
        (["/mnt/full/minio"], "the disk of /mnt/full/minio (/mnt/full) has 4.9% left"),
        (["/srv", "/mnt/full"], "(/mnt/full) has 4.9% left"),
        (["/mnt/fuller"], ""),
        ([], ""),
    ],
)
def test_the_room_on_the_disk_of_each_path(paths: list[str], words: str) -> None:
    said = room_on(paths, MOUNTS)
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.parametrize("shares", [{}, {"/boot": 0.9}, {"": 0.9}])
def test_what_is_not_known_is_not_taken_for_room(shares: dict[str, float]) -> None:
    assert room_on(["/srv/minio"], shares) == "the room on the disk of /srv/minio is not known"


def test_where_a_container_writes_to() -> None:
    data = {"Type": "bind", "Source": "/srv/minio", "Destination": "/data", "RW": True}
    read_only = {**data, "Source": "/etc/minio", "RW": False}
    assert written_to({"Mounts": [data, read_only, {"RW": True}]}) == ("/srv/minio",)
    assert written_to({}) == written_to({"Mounts": None}) == ()
    for broken in ({"Mounts": 7}, {"Mounts": ["x"]}):
        with pytest.raises(EngineError):
            written_to(broken)
