"""The version ledger on disk, and what keeps it true while containers come and go."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from target.engine import KNOWN_GOOD, Container, Engine, EngineError
from target.files import replace_bytes
from target.versions import (
    Facts,
    Ledger,
    facts_of,
    judge,
    known_good,
    known_good_reference,
    known_good_tag,
    observe,
    running,
)

MAX_LEDGER_BYTES = 8 * 1024 * 1024
LONGEST_GAP = timedelta(minutes=2)
"""Between two steps. Beyond it (a suspended machine, a clock set at last) health was not watched."""
KEPT_IMAGES = 2

_log = logging.getLogger(__name__)
SCHEMA = 1
_document = TypeAdapter(Ledger)
Signature = tuple[int, int, int] | None


@dataclass(frozen=True)
class _Head:
    """All that is asked of a ledger before its schema is known."""

    schema: int = SCHEMA


_head = TypeAdapter(_Head)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


class LedgerFile:
    """``STATE_DIR/versions.json``: read by anyone, replaced whole, changed under a lock."""

    def __init__(self, path: Path, say: Callable[[str], None] = _log.warning) -> None:
        """``say`` gets a line of words when a broken file was set aside."""
        self.path = path
        self._say = say

    def read(self) -> tuple[Ledger, str | None]:
        """The ledger, and what is wrong with the file in words (then the ledger is empty). Changes nothing.

        Raises OSError where the file is there and may not be read, or a newer release wrote it.
        """
        try:
            content = self._content()
        except FileNotFoundError:
            return Ledger(), None
        if content is None:
            return Ledger(), f"{self.path} is not a regular file"
        if len(content) > MAX_LEDGER_BYTES:
            return Ledger(), f"{self.path} is larger than {MAX_LEDGER_BYTES} bytes"
        try:
            schema = _head.validate_json(content).schema
            if schema > SCHEMA:
                words = f"a newer release wrote it: schema {schema}, this one reads {SCHEMA}"
                raise OSError(errno.EPROTONOSUPPORT, words, str(self.path))
            ledger = _document.validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            return Ledger(), f"{self.path} cannot be read: {where}: {first['msg']}"
        if schema < SCHEMA:
            return Ledger(), f"{self.path} has schema {schema}; this version reads {SCHEMA}"
        return ledger, None

    def _content(self) -> bytes | None:
        """None for a pipe or a device: reading one may never end. Raises OSError."""
        with open(self.path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            return file.read(MAX_LEDGER_BYTES + 1)

    def load(self) -> Ledger:
        """The ledger. A broken file is kept beside it as ``versions.json.broken-…`` and said.

        Raises OSError as read() does: a newer release's file is never set aside.
        """
        ledger, problem = self.read()
        if problem:
            with self._locked():
                return self._load()
        return ledger

    def _load(self) -> Ledger:
        """Under the lock: what is broken now may have been replaced by a good one before we had it."""
        ledger, problem = self.read()
        if problem:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            aside = self.path.with_name(f"{self.path.name}.broken-{stamp}")
            self.path.replace(aside)
            self._say(f"{problem}; kept as {aside}, a new version ledger begins")
        return ledger

    def save(self, ledger: Ledger) -> None:
        """Replace the file atomically, readable by all. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = _document.dump_json(ledger, indent=1) + b"\n"
        replace_bytes(self.path, document, lambda handle: os.fchmod(handle, 0o644))

    def update(self, change: Callable[[Ledger], Ledger]) -> Ledger:
        """Load, change, save; the process and the toolkit may do it at the same time. Raises OSError."""
        with self._locked():
            ledger = self._load()
            changed = change(ledger)
            if changed != ledger:
                self.save(changed)
            return changed

    def signature(self) -> Signature:
        """Differs whenever another process has replaced the file."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Read-only is enough for flock, so that another user's lock file can be taken too.
        lock = os.open(f"{self.path}.lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class LedgerKeeper:
    """Called again and again with what runs; writes only when something changed.

    It keeps the last two known-good images of a service under local tags, so that ``docker image
    prune`` cannot take away the way back (``keep_images=False``: the Engine is only read).
    """

    def __init__(
        self, file: LedgerFile, engine: Engine, good_after: timedelta, keep_images: bool = True
    ) -> None:
        self.file = file
        self._engine = engine
        self._good_after = good_after
        self._keep_images = keep_images
        self._ledger = Ledger()
        self._signature: Signature = None
        self._stepped_at: datetime | None = None
        self._kept: Ledger | None = None

    @property
    def ledger(self) -> Ledger:
        """As of the last step."""
        return self._ledger

    def step(self, containers: Sequence[Container], healthy: bool, now: datetime) -> Ledger:
        """Take in what runs at ``now`` and whether it is well. Blocks on the disk and the Engine.

        Raises EngineError when the Engine does not answer and OSError when the file cannot be
        written; nothing is lost then, the next step does it.
        """
        self._refresh()
        watched = _newest_running(containers)
        facts = {service: self._facts(service, found) for service, found in watched.items()}
        unbroken = (
            self._stepped_at is not None and timedelta(0) <= now - self._stepped_at <= LONGEST_GAP
        )

        def change(ledger: Ledger) -> Ledger:
            for service, container in watched.items():
                if fact := facts[service]:
                    ledger = observe(ledger, service, fact, min(now, container.created_at))
                if not unbroken:
                    ledger = judge(ledger, service, False, now, self._good_after)
                ledger = judge(ledger, service, healthy, now, self._good_after)
            return ledger

        if change(self._ledger) != self._ledger:
            self._ledger = self.file.update(change)
            self._signature = self.file.signature()
        self._stepped_at = now
        self._keep(sorted(watched))
        return self._ledger

    def _refresh(self) -> None:
        signature = self.file.signature()
        if self._stepped_at is None or signature != self._signature:
            self._ledger = self.file.load()
            self._signature = self.file.signature()

    def _facts(self, service: str, container: Container) -> Facts | None:
        """None where the ledger has them: the Engine is asked only about a change."""
        present = running(self._ledger, service)
        if present and present.image_id == container.image_id:
            return None
        try:
            return facts_of(container.image, self._engine.image(container.image_id))
        except EngineError as error:
            if not error.missing:
                raise
            # A running container whose image was force-removed: what it was made from is all there is.
            return Facts(container.image, container.image_id)

    def _keep(self, services: Sequence[str]) -> None:
        if not self._keep_images or self._kept == self._ledger or not services:
            return
        local = self._engine.images()
        here = {image.id for image in local}
        tags = {tag for image in local for tag in image.tags if tag.startswith(f"{KNOWN_GOOD}:")}
        for service in services:
            good = known_good(self._ledger, service)[:KEPT_IMAGES]
            wanted = {
                known_good_reference(service, release.image_id): release.image_id
                for release in good
                if release.image_id in here
            }
            for reference, image_id in wanted.items():
                if reference not in tags:
                    self._engine.tag(image_id, KNOWN_GOOD, known_good_tag(service, image_id))
            self._drop(service, tags - set(wanted))
        self._kept = self._ledger

    def _drop(self, service: str, tags: set[str]) -> None:
        """Untag what is no longer a way back; a tag that a pin may name (the running image's) stays."""
        present = running(self._ledger, service)
        for release in self._ledger.releases:
            reference = known_good_reference(service, release.image_id)
            if release.service != service or (present and release.image_id == present.image_id):
                continue
            if reference in tags:
                tags = tags - {reference}
                self._engine.untag(reference)


def _newest_running(containers: Sequence[Container]) -> dict[str, Container]:
    """While compose recreates, two containers of a service exist: the newer one counts."""
    newest: dict[str, Container] = {}
    for container in sorted(containers, key=lambda container: container.created_at):
        if container.running:
            newest[container.service] = container
    return newest
