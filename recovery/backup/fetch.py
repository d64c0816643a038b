"""MinIO's objects into a backup: what has changed since the former one is read, the rest is here already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from recovery.backup.blobs import Blobs
from recovery.backup.index import Entry
from recovery.backup.manifest import Bucket
from recovery.backup.objects import THREADS, GoneError, Listed, Objects
from recovery.checks.storage import size
from recovery.steps import StepError

Former = Mapping[tuple[str, str], Entry]
Progress = Callable[[str], None]
Item = TypeVar("Item")
Answer = TypeVar("Answer")
AT_ONCE = 64
"""Objects that wait for a thread."""
SAY_SECONDS = 5.0


class Told:
    """How far it is, said every few seconds. For several threads."""

    def __init__(self, progress: Progress, verb: str, objects: int, count: int) -> None:
        self._progress, self._verb = progress, verb
        self._objects, self._bytes = objects, count
        self._lock = threading.Lock()
        self._began = self._said = time.monotonic()
        self.objects = self.bytes = 0

    def more(self, count: int, objects: int = 0) -> None:
        with self._lock:
            self.bytes += count
            self.objects += objects
            now = time.monotonic()
            if now - self._said < SAY_SECONDS:
                return
            self._said = now
            speed = self.bytes / (now - self._began)
            words = (
                f"{self._verb} {size(self.bytes)} of {size(self._bytes)}, "
                f"{self.objects} of {self._objects} objects, {size(speed)}/s"
            )
        self._progress(words)


@dataclass(frozen=True)
class Fetched:
    entries: tuple[Entry, ...]
    moved_objects: int
    moved_bytes: int


def listing(objects: Objects, buckets: Iterable[Bucket]) -> list[Listed]:
    """Of a bucket that goes meanwhile: nothing."""
    found: list[Listed] = []
    for bucket in buckets:
        with suppress(GoneError):
            found += objects.listed(bucket.name)
    return found


def fetch(
    objects: Objects,
    blobs: Blobs,
    listed: Iterable[Listed],
    former: Former,
    room: float,
    progress: Progress,
    note: Callable[[Entry], None] = lambda _: None,
) -> Fetched:
    """Raises StepError and OSError; what was read before is kept for the next try.

    ``former``: what is here already. ``room``: bytes that may be written. ``note`` is told of each object
    that was read, by several threads.
    """
    whole = list(listed)
    changed = [one for one in whole if not _known(one, former, blobs)]
    needed = sum(blobs.stored(one.bytes) for one in changed)
    if needed > room:
        raise StepError(f"{size(needed)} are needed and {size(room)} may be taken")
    total = sum(one.bytes for one in changed)
    if changed:
        progress(f"{len(changed)} of {len(whole)} objects are new or have changed: {size(total)}")
    told = Told(progress, "read", len(changed), total)
    names = {(one.bucket, one.key) for one in changed}

    def one(of: Listed) -> Entry | None:
        place = (of.bucket, of.key)
        try:
            entry = _read(objects, blobs, of, told) if place in names else former[place]
            if place in names:
                note(entry)
            return replace(entry, tags=objects.tags(*place))
        except GoneError:
            return None

    found = in_threads(one, whole)
    return Fetched(tuple(e for e in found if e is not None), told.objects, told.bytes)


def _known(one: Listed, former: Former, blobs: Blobs) -> bool:
    then = former.get((one.bucket, one.key))
    if then is None:
        return False
    same = (then.bytes, then.etag, then.modified) == (one.bytes, one.etag, one.modified)
    return same and blobs.has(then.blob, then.bytes)


def _read(objects: Objects, blobs: Blobs, one: Listed, told: Told) -> Entry:
    with objects.content(one.bucket, one.key) as (about, chunks):

        def counted() -> Iterable[bytes]:
            for chunk in chunks:
                yield chunk
                told.more(len(chunk))

        content = blobs.put(counted())
    if content.bytes != about.bytes:
        raise StepError(
            f"MinIO sent {content.bytes} of {about.bytes} bytes of {one.bucket}/{one.key}"
        )
    told.more(0, 1)
    # Of the answer, which has the content too: the object may have changed since it was listed. Only the
    # listing's time is comparable with the next listing's.
    return Entry(
        one.bucket,
        one.key,
        content.bytes,
        about.etag,
        one.modified if about.etag == one.etag else "",
        content.sha256,
        content.name,
        dict(about.headers),
    )


def in_threads(
    do: Callable[[Item], Answer], items: Iterable[Item], threads: int = THREADS
) -> list[Answer]:
    """``do`` for each, in their order. The first that fails ends it: what is begun is finished, no more is begun."""
    found: list[Future[Answer]] = []
    with ThreadPoolExecutor(threads) as pool:
        waiting: set[Future[Answer]] = set()
        try:
            for item in items:
                found.append(pool.submit(do, item))
                waiting.add(found[-1])
                if len(waiting) >= AT_ONCE:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            return [future.result() for future in found]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
