"""Sends what waits to be told: one message at a time, each rendered from the truth of that moment.

An incident's card is a revision number, not a queue: however much happens while Discord is away,
one true card is sent afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from sqlite3 import Connection

import structlog

from receiver.clock import Clock
from receiver.delivery import DeliveryError, Notifier
from receiver.metrics import Metrics
from receiver.note import Note
from receiver.records import Message
from receiver.settings import ReceiverSettings
from receiver.situation import History, read_history
from receiver.store import messages
from receiver.store.database import Database, StoreError
from receiver.view import view_of

log = structlog.get_logger("outbox")
FIRST_WAIT = 1.0
LONGEST_WAIT = 300.0
OVERTAKEN = "overtaken"
"""Stands for the id of a call that was not sent, because the incident was over by then."""
IDLE = 5.0
"""Seconds; how long to wait without being woken. A wake-up may be missed, a clock may jump."""


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
    ) -> None:
        self._database = database
        self._notifiers = notifiers
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._news = news
        self._stopping = False

    def stop(self) -> None:
        """Finish the message in hand, then return from run()."""
        self._stopping = True
        self._news.set()

    async def run(self) -> None:
        while not self._stopping:
            self._news.clear()
            try:
                wait = await self._next()
            except StoreError as error:
                log.error("the store cannot be used; trying again", problem=str(error))
                wait = IDLE
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(wait, IDLE)):
                        await self._news.wait()

    async def _next(self) -> float:
        """Send what is due. Returns how many seconds there is nothing to do."""
        message = await self._database.run(messages.message_due)
        if message is None:
            return IDLE
        early = (message.due_at - self._clock.now()).total_seconds()
        if early > 0:
            return early
        await self._send(message)
        return 0.0

    async def _send(self, message: Message) -> None:
        notifier = self._notifiers.get(message.notifier) or next(iter(self._notifiers.values()))
        now = self._clock.now()

        def attempt(c: Connection) -> tuple[History | None, int]:
            copies = messages.attempt_message(c, message)
            about = message.incident_id
            return read_history(c, about, now) if about is not None else None, copies

        history, copies = await self._database.run(attempt)
        try:
            message_id = await self._deliver(notifier, message, history, copies)
        except DeliveryError as error:
            await self._not_sent(message, notifier.name, error)
            return
        except Exception as fault:  # a card that our own code cannot make must not stop the others
            log.exception("a message could not be made", incident=message.incident_id)
            words = f"{type(fault).__name__} in our own code; the log has it"
            await self._not_sent(message, notifier.name, DeliveryError(words, permanent=True))
            return
        now = self._clock.now()
        words = _what_was_told(message, message_id)

        def told(c: Connection) -> None:
            messages.delivered(c, message, message_id, now)
            if words:
                messages.add_event(c, message.incident_id, "told", words, now)

        await self._database.run(told)
        self._metrics.notifications.labels(notifier.name, "sent").inc()
        log.info("told", incident=message.incident_id, kind=message.kind, revision=message.revision)

    async def _deliver(
        self, notifier: Notifier, message: Message, history: History | None, copies: int
    ) -> str:
        if message.kind == "note":
            return await notifier.post(Note.model_validate_json(message.note), ping=message.ping)
        if history is None:
            raise LookupError(f"message {message.id} is about an incident that is not there")
        view = replace(view_of(history, self._settings), copies=copies)
        over = history.incident.state == "resolved"
        if message.kind == "call":
            return OVERTAKEN if over else await notifier.call(view)
        # Nobody is woken to hear that there is nothing to do.
        ring = message.ping and not (over and message.message_id is None)
        return await notifier.send(view, message.message_id, ping=ring)

    async def _not_sent(self, message: Message, notifier: str, error: DeliveryError) -> None:
        wait = error.retry_after if error.retry_after is not None else _pause(message.attempts)
        again = None if error.permanent else self._clock.now() + timedelta(seconds=wait)

        def change(c: Connection) -> None:
            messages.not_delivered(c, message, error.words, again, ambiguous=error.ambiguous)
            if message.error != error.words:
                messages.add_event(
                    c, message.incident_id, "not told", error.words, self._clock.now()
                )

        await self._database.run(change)
        self._metrics.notifications.labels(
            notifier, "failed" if error.permanent else "retried"
        ).inc()
        log.warning(
            "could not tell",
            incident=message.incident_id,
            problem=error.words,
            permanent=error.permanent,
        )


def _what_was_told(message: Message, message_id: str) -> str:
    """For the audit trail; empty for an edit like any other, which would only say that there was news."""
    rings = ", which rings" if message.ping else ""
    match message.kind:
        case "note":
            return f"a message{rings}: {Note.model_validate_json(message.note).title}"
        case "call":
            over = message_id == OVERTAKEN
            return "no call is sent: the incident is over" if over else "a call, which rings"
        case "card" if message.message_id is None:
            return f"the card{rings}"
        case "card" if message.error:
            return "the card, which could not be told before"
        case _:
            return ""


def _pause(attempts: int) -> float:
    """Seconds before the next try: doubled each time, with jitter so that restarts do not beat in step."""
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempts, 10)) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
