"""Sends what waits to be told: one message at a time, each rendered from the truth of that moment.

An incident's card is a revision number, not a queue: however much happens while Discord is away,
one true card is sent afterwards. A call or a note that events have overtaken meanwhile is not sent;
the audit trail says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from sqlite3 import Connection
from typing import NamedTuple

import structlog

from receiver.approving.links import Links
from receiver.clock import Clock
from receiver.metrics import Metrics
from receiver.records import Message, Ring
from receiver.settings import ReceiverSettings
from receiver.store import evidence, messages, pictures
from receiver.store.database import Database, StoreError
from receiver.store.heard import Heard, heard
from receiver.store.history import History, read_history
from receiver.telling.card import IncidentView
from receiver.telling.delivery import DeliveryError, File, Notifier
from receiver.telling.note import Note
from receiver.telling.staleness import why_overtaken
from receiver.telling.view import view_of

log = structlog.get_logger("outbox")
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0
"""Seconds; a destination that is down is tried at least this often, with whatever is due first."""
GONE_WAIT = 300.0
"""Seconds; between tries of an address that is said to be no more."""
JITTER = 0.25
"""Part of a pause: so that restarts do not beat in step."""
IDLE = 15.0
"""Seconds; how long to wait without being woken, which the worker does. It may be busy; a clock may jump."""


class _Facts(NamedTuple):
    """What the store knows about a message that is about to be sent."""

    history: History | None
    heard: Heard | None
    copies: int
    evidence: Sequence[File] = ()
    picture: Sequence[File] = ()
    """What is still to be attached to the card."""


class _Destination:
    """How a notifier has answered lately. While it is down one message at a time tries it, not all of them."""

    def __init__(self) -> None:
        self.failures = 0
        self.again: datetime | None = None
        self._said_at: datetime | None = None

    def free_at(self, now: datetime) -> datetime | None:
        """When it is to be tried next; a clock that was set back since does not put that off."""
        if self.again and self._said_at and now < self._said_at:
            self.again, self._said_at = self.again - (self._said_at - now), now
        return self.again

    def failed(self, error: DeliveryError, now: datetime) -> None:
        self.failures += 1
        self._said_at = now
        pause = error.retry_after if error.retry_after is not None else _pause(self.failures)
        self.again = now + timedelta(seconds=pause)

    def answered(self) -> bool:
        """Whether that ends more than one hiccup."""
        was_down = self.failures > 1
        self.failures, self.again = 0, None
        return was_down


class Outbox:
    """The one sender."""

    def __init__(
        self,
        database: Database,
        notifiers: Mapping[str, Notifier],
        settings: ReceiverSettings,
        metrics: Metrics,
        clock: Clock,
        news: asyncio.Event,
        links: Links | None = None,
    ) -> None:
        self._database = database
        self._notifiers = notifiers
        self._destinations = {name: _Destination() for name in notifiers}
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._news = news
        self._links = links
        self._stopping = False

    def stop(self) -> None:
        """Finish the message in hand, then return from run()."""
        self._stopping = True
        self._news.set()

    async def run(self) -> None:
        first = True
        while not self._stopping:
            self._news.clear()
            try:
                if first:  # what failed before our start may go out now: the settings may be others
                    await self._hasten()
                    first = False
                wait = await self._next()
            except StoreError as error:
                log.error("the store cannot be used; trying again", problem=str(error))
                wait = IDLE
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(wait, IDLE)):
                        await self._news.wait()

    async def _hasten(self) -> None:
        await self._database.run(lambda c: messages.hasten(c, self._clock.now()))

    async def _next(self) -> float:
        """Send what is due. Returns how many seconds there is nothing to do."""
        now = self._clock.now()
        free = {name: one.free_at(now) for name, one in self._destinations.items()}

        def take(c: Connection) -> float | tuple[Message, _Facts | None]:
            """In one transaction: which message it is, and that it is being sent."""
            message = messages.message_due(c)
            if message is None:
                return IDLE
            again = free[self._notifier(message).name]
            due_at = max(message.due_at, again) if again else message.due_at
            early = (due_at - now).total_seconds()
            return early if early > 0 else (message, _attempt(c, message, now))

        found = await self._database.run(take)
        if isinstance(found, float):
            return found
        message, facts = found
        await self._send(message, self._notifier(message), facts)
        return 0.0

    def _notifier(self, message: Message) -> Notifier:
        return self._notifiers.get(message.notifier) or next(iter(self._notifiers.values()))

    async def _send(self, message: Message, notifier: Notifier, facts: _Facts | None) -> None:
        if facts is None:
            self._metrics.notifications.labels(notifier.name, "dropped").inc()
            log.info("not told any more", incident=message.incident_id, kind=message.kind)
            return
        try:
            ring = _ring(message, facts)
            if message.kind == "files":
                await self._attach(notifier, message, facts)
                return
            message_id = await self._deliver(notifier, message, facts, ring)
        except DeliveryError as error:
            await self._not_sent(message, notifier.name, error)
            return
        except Exception as fault:  # a card that our own code cannot make must not stop the others
            log.exception("a message could not be made", incident=message.incident_id)
            words = f"{type(fault).__name__} in our own code; the log has it"
            await self._not_sent(message, notifier.name, DeliveryError(words, permanent=True))
            return
        await self._sent(message, notifier.name, message_id, ring)

    async def _attach(self, notifier: Notifier, message: Message, facts: _Facts) -> None:
        """What the card does not have yet: the evidence, and only then the picture, which may be refused.

        Raises DeliveryError.
        """
        card_id = facts.heard.card_id if facts.heard else None
        if card_id is None:
            raise LookupError(f"the files of message {message.id} have no card")
        told: list[str] = []
        for files in filter(None, (facts.evidence, facts.picture)):
            ids = await notifier.attach(card_id, files)
            await self._database.run(partial(self._attached, message, card_id, ids))
            told += ids
        await self._database.run(
            lambda c: messages.delivered(c, message, card_id, self._clock.now())
        )
        self._destinations[notifier.name].answered()
        self._metrics.notifications.labels(notifier.name, "sent").inc()
        log.info("told", incident=message.incident_id, kind="files", files=told)

    def _attached(
        self, message: Message, card_id: str, ids: Mapping[str, str], c: Connection
    ) -> None:
        about = message.incident_id or 0
        evidence.attached(c, about, card_id, ids)
        pictures.attached(c, about, card_id, ids)
        if ids:
            words = f"attached to the card: {', '.join(ids)}"
            messages.add_event(c, message.incident_id, "told", words, self._clock.now())

    async def _sent(self, message: Message, notifier: str, message_id: str, ring: Ring) -> None:
        back = self._destinations[notifier].answered()
        words = _what_was_told(message, ring)

        def change(c: Connection) -> None:
            now = self._clock.now()
            messages.delivered(c, message, message_id, now, ring)
            if words:
                messages.add_event(c, message.incident_id, "told", words, now)
            if back:
                messages.hasten(c, now)

        await self._database.run(change)
        self._metrics.notifications.labels(notifier, "sent").inc()
        log.info("told", incident=message.incident_id, kind=message.kind, revision=message.revision)

    async def _deliver(
        self, notifier: Notifier, message: Message, facts: _Facts, ring: Ring
    ) -> str:
        if message.kind == "note":
            note = Note.model_validate_json(message.note)
            return await notifier.post(note.again() if facts.copies else note, ring=ring)
        view = self._view(message, facts)
        if message.kind == "call":
            return await notifier.call(view, ring=ring)
        return await notifier.send(view, message.message_id, ring=ring)

    def _view(self, message: Message, facts: _Facts) -> IncidentView:
        if facts.history is None:
            raise LookupError(f"message {message.id} is about an incident that is not there")
        return replace(view_of(facts.history, self._settings, self._links), copies=facts.copies)

    async def _not_sent(self, message: Message, notifier: str, error: DeliveryError) -> None:
        wait: float | None = None
        if error.gone:  # kept: it goes out after a start with another address
            wait = GONE_WAIT
        elif not error.permanent:
            wait = error.retry_after if error.retry_after is not None else _pause(message.attempts)
            if message.kind != "files":  # a file that does not get through says nothing of a card
                self._destinations[notifier].failed(error, self._clock.now())

        def change(c: Connection) -> None:
            now = self._clock.now()
            again = None if wait is None else now + timedelta(seconds=wait)
            messages.not_delivered(c, message, error.words, again, ambiguous=error.ambiguous)
            if message.error != error.words:
                messages.add_event(c, message.incident_id, "not told", error.words, now)

        await self._database.run(change)
        self._metrics.notifications.labels(notifier, "failed" if wait is None else "retried").inc()
        log.warning(
            "could not tell",
            incident=message.incident_id,
            problem=error.words,
            permanent=error.permanent,
        )


def _attempt(c: Connection, message: Message, now: datetime) -> _Facts | None:
    """What is to be told as things stand, with the note that it is tried; None where events have overtaken it."""
    about = message.incident_id
    history = read_history(c, about, now) if about is not None else None
    known = heard(c, about) if about is not None else None
    reason = why_overtaken(message, history, known)
    if reason:
        messages.overtaken(c, message.id, about, reason, now)
        return None
    facts = _Facts(history, known, messages.attempt_message(c, message))
    if message.kind == "files" and about is not None and known is not None:
        return facts._replace(
            evidence=evidence.to_attach(c, about, known.card_id),
            picture=pictures.to_attach(c, about, known.card_id),
        )
    return facts


def _ring(message: Message, facts: _Facts) -> Ring:
    """How loudly this goes out: nobody is woken to hear that there is nothing to do."""
    if message.kind != "card" or message.message_id is not None or facts.history is None:
        return message.ring
    return Ring.SILENT if facts.history.incident.state == "resolved" else message.ring


def _what_was_told(message: Message, ring: Ring) -> str:
    """For the audit trail; empty for an edit like any other, which would only say that there was news."""
    rings = ("", ", with a push", ", which rings")[ring]
    match message.kind:
        case "note":
            return f"a message{rings}: {Note.model_validate_json(message.note).title}"
        case "call":
            return f"a call{rings}"
        case "card" if message.message_id is None:
            return f"the card{rings}"
        case "card" if message.error:
            return "the card, which could not be told before"
        case _:
            return ""


def _pause(attempts: int) -> float:
    """Seconds before the next try: doubled each time, give or take the jitter."""
    part = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempts, 10)) * part
