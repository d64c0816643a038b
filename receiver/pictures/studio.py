"""Has the pictures drawn: one at a time, when an incident begins and once more when it is over.

Runs only where the extra is installed and Prometheus is known. It looks into the store when there is
news, and the card never waits for it: what is drawn is attached afterwards, by a message of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from sqlite3 import Connection

import structlog

from receiver.clock import Clock
from receiver.http import Http
from receiver.pictures import child
from receiver.pictures.composing import Deployment, compose, in_question, window
from receiver.pictures.drawing import Drawing, in_words
from receiver.pictures.gathering import gather
from receiver.records import AlertInstance
from receiver.rollback.way_back import LEDGER
from receiver.settings import ReceiverSettings
from receiver.store import messages, pictures
from receiver.store.database import Database, StoreError
from receiver.store.history import History, read_history
from receiver.telling.delivery import DeliveryError
from target.version_keeper import LedgerFile

log = structlog.get_logger("pictures")
PAUSE_SECONDS = 2.0
"""Between two looks, whatever happens meanwhile: a flood of alerts is no reason to look more often."""
LOOK_AGAIN = timedelta(seconds=30)
"""While an incident is open: its end wakes nobody."""
TRIES, AGAIN_AFTER = 3, timedelta(seconds=60)
MOST_AN_HOUR = 40
"""Pictures that are begun; a picture costs a Pi seconds of its processor."""
CACHE = "matplotlib"
"""Of STATE_DIR: where the library keeps its list of fonts."""


class NoPictureError(Exception):
    """There is nothing to be drawn, in words; trying again cannot help."""


class Studio:
    """One loop. ``wake`` it when there may be a new incident; ``told`` is called when a file waits to be sent."""

    def __init__(
        self,
        database: Database,
        settings: ReceiverSettings,
        http: Http,
        clock: Clock,
        told: Callable[[], None],
    ) -> None:
        self._database = database
        self._settings = settings
        self._http = http
        self._clock = clock
        self._told = told
        self._news = asyncio.Event()
        self._begun: deque[float] = deque(maxlen=MOST_AN_HOUR)

    @staticmethod
    def wanted(settings: ReceiverSettings) -> bool:
        return settings.prometheus_url is not None and child.installed()

    def wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled; a drawing process that runs then is ended."""
        while True:
            self._news.clear()
            try:
                wait = await self._look()
            except StoreError as error:
                log.error("the store cannot be used; trying again", problem=str(error))
                wait = LOOK_AGAIN
            await asyncio.sleep(PAUSE_SECONDS)
            if wait is None or wait > timedelta(0):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait.total_seconds() if wait else None):
                        await self._news.wait()

    async def _look(self) -> timedelta | None:
        """Draw what is due. Returns how long there is nothing to do; None: until there is news."""
        now = self._clock.now()
        incident_id, following = await self._database.run(lambda c: pictures.due(c, now))
        if incident_id is not None:
            if self._spent():
                return timedelta(minutes=1)
            await self._try(incident_id)
            return timedelta(0)
        if following is not None:
            return max(following - self._clock.now(), timedelta(seconds=1))
        followed = await self._database.run(pictures.followed)
        return LOOK_AGAIN if followed else None

    def _spent(self) -> bool:
        """Whether as many were begun in the last hour as may be; else this one is counted."""
        now = asyncio.get_running_loop().time()
        if len(self._begun) == MOST_AN_HOUR and now - self._begun[0] < 3600:
            return True
        self._begun.append(now)
        return False

    async def _try(self, incident_id: int) -> None:
        now = self._clock.now()
        history = await self._database.run(lambda c: read_history(c, incident_id, now))
        if history is None:
            return
        again = now + AGAIN_AFTER if history.picture and history.picture.tries + 1 < TRIES else None
        try:
            await self._draw(history, now)
        except NoPictureError as error:
            problem, again = str(error), None
        except (DeliveryError, child.DrawingError) as error:
            problem = str(error)
        except StoreError:
            raise
        except Exception as fault:  # ours; logged whole, and a picture is worth nobody's sleep
            log.exception("our own fault in a picture", incident=incident_id)
            problem = f"{type(fault).__name__} in our own code; the log has it"
        else:
            return
        log.warning("no picture", incident=incident_id, problem=problem, given_up=again is None)
        await self._database.run(lambda c: pictures.not_drawn(c, incident_id, problem, again, now))

    async def _draw(self, history: History, now: datetime) -> None:
        """Raises NoPictureError, DeliveryError, DrawingError, StoreError."""
        alert, drawing = await self._drawing(history, now)
        cache = self._settings.state_dir / CACHE
        made = await child.draw(drawing.to_json(), cache)
        incident_id, size = history.incident.id, (made.width, made.height)

        def keep(c: Connection) -> None:
            at = self._clock.now()
            pictures.keep(c, incident_id, alert.id, made.body, size, in_words(drawing), now)
            for notifier in messages.card_notifiers(c, incident_id):
                messages.touch_files(c, incident_id, notifier, at)

        await self._database.run(keep)
        self._told()
        log.info("a picture is drawn", incident=incident_id, alert=alert.name, size=len(made.body))

    async def _drawing(self, history: History, now: datetime) -> tuple[AlertInstance, Drawing]:
        """Of the first alert that has a signal. Raises NoPictureError, DeliveryError."""
        shown, reasons = window(history, now), []
        for alert in in_question(history, history.picture.alert_id if history.picture else None):
            try:
                measured = await gather(
                    self._http, str(self._settings.prometheus_url), alert, *shown
                )
            except LookupError as error:
                reasons.append(str(error.args[0]))
                continue
            if measured is not None:
                deployments = await asyncio.to_thread(self._deployments)
                zone = self._settings.zone
                return alert, compose(history, alert, measured, deployments, shown, zone)
            reasons.append(f"{alert.name} has no signal that can be drawn, or nothing was measured")
        raise NoPictureError("; ".join(reasons) or "no alert")

    def _deployments(self) -> list[Deployment]:
        """Of everything that the version ledger watches, but for what ran when it began."""
        try:
            ledger, _ = LedgerFile(self._settings.state_dir / LEDGER).read()
        except OSError as error:
            log.warning("the version ledger cannot be read", problem=str(error.strerror))
            return []
        first: set[str] = set()
        found = []
        for release in ledger.releases:
            if release.service in first or ledger.forgotten:
                found.append(Deployment(release.since, release.title))
            first.add(release.service)
        return found
