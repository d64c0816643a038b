"""Which version of the application runs, how often it was deployed, the way back, and the newest backup's age."""

from __future__ import annotations

import asyncio
import errno
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from exporter.context import Context
from exporter.exposition import Samples
from exporter.scrape import CollectorError, Reading
from exporter.version_families import (
    backup_samples,
    backup_status_samples,
    image_samples,
    ledger_samples,
    tag_samples,
    ways_back,
)
from target.backups import newest_backup, read_status
from target.blocking import BlockedError, Blocking
from target.engine import Container, Engine, EngineError, Image
from target.roles import app_containers
from target.version_keeper import LedgerFile
from target.versions import Ledger

LEDGER_FILE = "versions.json"
LOOK_SECONDS = 15.0
"""Between two looks at the ledger's file for another way back, and for a tag that is missing."""
ASK_SECONDS = 60.0
"""Between two questions to the Engine where nothing has changed: a tag or a digest may have."""
ANSWER_SECONDS = 20.0
MOST_SERVICES = 32
"""That are remembered as the application's after their containers have gone."""

Parts = Sequence[Callable[[], Sequence[Samples]]]


class LedgerView:
    """The version ledger as its file has it; parsed again only when that has changed. For one thread."""

    def __init__(self, path: Path) -> None:
        self._file = LedgerFile(path)
        self._signature: object = ()
        self._ledger = Ledger()
        self._problem: str | None = None

    def read(self) -> Ledger:
        """Raises OSError, and ValueError for a file that is no ledger."""
        signature = self._file.signature()
        if signature != self._signature:
            self._ledger, self._problem = self._parse()
            self._signature = signature
        if self._problem:
            raise ValueError(self._problem)
        return self._ledger

    def _parse(self) -> tuple[Ledger, str | None]:
        try:
            return self._file.read()
        except OSError as error:
            if error.errno != errno.EPROTONOSUPPORT:
                raise  # it may be mended without a change of the file
            return Ledger(), str(error)


@dataclass(frozen=True)
class _Known:
    """What the Engine has said, and of what it was asked."""

    images: Mapping[str, Image] = field(default_factory=dict)
    """By image id."""
    tags: Mapping[str, bool] = field(default_factory=dict)
    """By service, whether the image of its way back is here."""
    wanted: frozenset[tuple[str, str]] = frozenset()
    """Service and reference of each way back."""


class VersionsCollector:
    """Asks the Engine in the background, so that no scrape waits for it; reads files in the scrape's thread."""

    name = "versions"

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._engine = context.engine
        self._discovery = context.discovery
        path = context.settings.state_dir / LEDGER_FILE
        self._ledger = LedgerView(path)
        self._ledger_to_ask_by = LedgerView(path)
        """The background's own: it reads in a thread of its own."""
        self._services = frozenset(context.settings.app_service)
        """Those of the ledger that are the application: by its settings, and by what its containers are called."""
        self._known = _Known()
        self._problem = ""
        self._blocking: Blocking[_Known] = Blocking("Docker Engine images")
        self._rendered: tuple[object, list[Samples]] = (None, [])
        self._ledger_rendered: tuple[object, list[Samples]] = (None, [])

    async def run(self) -> None:
        asked = -math.inf
        while True:
            seen = self._discovery.generation
            if self._discovery.connected:
                due = time.monotonic() - asked >= ASK_SECONDS
                if not await self._look(due):
                    asked = -math.inf
                elif due:
                    asked = time.monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._discovery.wait_change(seen)

    async def _look(self, due: bool) -> bool:
        """Ask what is not known; where it is ``due``, everything again. False: no answer."""
        ids = frozenset(one.image_id for one in self._running())
        known, services = self._known, self._services
        try:
            self._known = await self._blocking.run(
                lambda: self._ask(ids, services, known, due), ANSWER_SECONDS
            )
        except (EngineError, BlockedError) as error:
            self._problem = f"the application's images are not known: {error}"
            return False
        self._problem = ""
        return True

    def _ask(
        self, ids: frozenset[str], services: frozenset[str], known: _Known, due: bool
    ) -> _Known:
        """In a thread of its own. Raises EngineError."""
        try:
            ledger = self._ledger_to_ask_by.read()
        except (OSError, ValueError):
            ledger = Ledger()  # the scrape's own reading says what is wrong with it
        back = ways_back(ledger, services)
        wanted = frozenset((one.service, one.reference) for one in back)
        images, tags = known.images, known.tags
        if due or ids - images.keys():
            images = {one: _image(self._engine, one, images.get(one)) for one in sorted(ids)}
        if due or wanted != known.wanted or not all(tags.values()):
            tags = {
                one.service: _is_here(self._engine, one.reference, one.release.image_id)
                for one in back
            }
        return _Known(images, tags, wanted)

    def begin(self) -> Reading:
        """Each part alone: what one cannot tell does not silence the others."""
        connected = self._discovery.connected
        present = self._running() if connected else []
        if len(self._services) < MOST_SERVICES:
            self._services |= {one.service for one in present}
        services, known = self._services, self._known if connected else _Known()
        lost = f"the running version is not known: {self._discovery.error}"
        problem = self._problem if connected else lost
        parts: Parts = (
            lambda: self._of_engine(present, known),
            lambda: self._of_ledger(services),
            lambda: [backup_samples(newest_backup(self._settings.backup_dir), time.time())],
            lambda: backup_status_samples(read_status(self._settings.backup_dir), time.time()),
        )
        return lambda: _read(parts, problem)

    def _running(self) -> list[Container]:
        apps = app_containers(self._discovery.watched(), self._settings)
        return [one for one in apps if one.running]

    def _of_engine(self, present: Sequence[Container], known: _Known) -> list[Samples]:
        key = ([(one.service, one.image, one.image_id) for one in present], known)
        if key != self._rendered[0]:
            samples = [*image_samples(present, known.images), tag_samples(known.tags)]
            self._rendered = (key, samples)
        return self._rendered[1]

    def _of_ledger(self, services: frozenset[str]) -> list[Samples]:
        ledger = self._ledger.read()
        made_of = self._ledger_rendered[0]
        if not isinstance(made_of, tuple) or made_of[0] is not ledger or made_of[1] != services:
            self._ledger_rendered = ((ledger, services), ledger_samples(ledger, services))
        return self._ledger_rendered[1]


def _read(parts: Parts, problem: str) -> list[Samples]:
    samples: list[Samples] = []
    problems = [problem] if problem else []
    for part in parts:
        try:
            samples.extend(part())
        except (OSError, ValueError) as error:
            problems.append(str(error))
    if problems:
        raise CollectorError("; ".join(problems), samples)
    return samples


def _image(engine: Engine, image_id: str, former: Image | None) -> Image:
    """A container outlives the removal of its image's tag, and even, forced, that of the image."""
    try:
        return engine.image(image_id)
    except EngineError as error:
        if not error.missing:
            raise
        return former or Image(image_id, (), (), "", "")


def _is_here(engine: Engine, reference: str, image_id: str) -> bool:
    try:
        return engine.image(reference).id == image_id
    except EngineError as error:
        if not error.missing:
            raise
        return False
