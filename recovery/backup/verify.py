"""A backup against its own manifest: every file, every object's content. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from recovery.backup.blobs import Blobs
from recovery.backup.fetch import Told, in_threads
from recovery.backup.index import Entry
from recovery.backup.manifest import Kept, Manifest, digest_of, read_manifest
from recovery.backup.sealing import DamagedError, Key
from recovery.backup.shelf import blobs, entries
from recovery.steps import StepError

Progress = Callable[[str], None]
MOST_WORDS = 20
"""Of damage; past it only the number is said."""


def problems(folder: Path) -> list[str]:
    """What of its files is missing, or is not as it was written. Raises StepError where it is no backup."""
    return [words for kept in read_manifest(folder).files if (words := _problem(folder, kept))]


def damaged_contents(
    folder: Path, manifest: Manifest, key: Key | None, progress: Progress
) -> Iterator[str]:
    """The same of its objects; each content is read once. Raises StepError where their list cannot be read."""
    if manifest.data is None:
        return
    contents, found = blobs(folder.parent, key), {e.blob: e for e in entries(folder, manifest, key)}
    told = Told(progress, "checked", len(found), sum(e.bytes for e in found.values()))
    words = in_threads(lambda entry: _content_problem(contents, entry, told), found.values(), 2)
    yield from filter(None, words)


def everything(folder: Path, manifest: Manifest, key: Key | None, progress: Progress) -> list[str]:
    """All damage, in words that are bounded in number."""
    try:
        found = problems(folder) or list(damaged_contents(folder, manifest, key, progress))
    except StepError as error:
        found = [str(error)]
    rest = len(found) - MOST_WORDS
    return found if rest <= 0 else [*found[:MOST_WORDS], f"and {rest} more"]


def _problem(folder: Path, kept: Kept) -> str:
    path = folder / kept.name
    if ".." in path.parts or not path.resolve().is_relative_to(folder.resolve()):
        return f"{kept.name}: lies outside of the backup"
    try:
        with path.open("rb") as file:
            right = digest_of(file) == kept.sha256
    except OSError as error:
        return f"{kept.name}: {error.strerror}"
    return "" if right else f"{kept.name}: is not what was written"


def _content_problem(contents: Blobs, entry: Entry, told: Told) -> str:
    try:
        for chunk in contents.read(entry.blob, entry.sha256, entry.bytes):
            told.more(len(chunk))
    except DamagedError as error:
        return f"{entry.title}: {error}"
    except OSError as error:
        return f"{entry.title}: {error.strerror}"
    told.more(0, 1)
    return ""
