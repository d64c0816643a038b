"""What an image holds, as whoever pulls it can see it: every file of every layer, also of those deleted later."""

from __future__ import annotations

import base64
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def everything(saved: Path) -> Iterator[tuple[str, bytes]]:
    """From an archive of ``docker save``: where, and the bytes. The image's settings and history are in there too."""
    with tarfile.open(saved) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            if _is_archive(file):
                yield from _files(member.name, file)
            else:
                yield member.name, file.read()


def _is_archive(file: IO[bytes]) -> bool:
    """A layer: a tar, or one compressed by gzip; each has its mark near the beginning."""
    head = file.read(512)
    file.seek(0)
    return head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b"


def _files(layer: str, file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=file) as inside:
        for member in inside:
            where = f"{layer}: {member.name.removeprefix('./')}"
            yield where, member.linkname.encode()
            content = inside.extractfile(member) if member.isfile() else None
            if content is not None:
                yield where, content.read()


def marks(text: str) -> tuple[bytes, ...]:
    """How ``text`` may stand there: plain, and within base64 at each of its three places."""
    found = [text.encode()]
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + text.encode()).rstrip(b"=")
        found.append(coded[(before * 4 + 2) // 3 : -1])  # the last depends on what follows
    return tuple(found)


def showing(saved: Path, text: str) -> set[str]:
    """Where ``text`` is."""
    sought = marks(text)
    return {
        where for where, content in everything(saved) if any(mark in content for mark in sought)
    }
