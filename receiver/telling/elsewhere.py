"""People are told another way when the first destination has not taken what was to wake them for too long.

Once for each ringing, and once when it is over: short, plain texts. The card goes out as ever once it can.
A crash between the telling and its record tells again: better twice than not at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import structlog

from receiver.clock import Clock
from receiver.metrics import Metrics
from receiver.rounds import look_for_ever
from receiver.settings import ReceiverSettings
from receiver.store import unheard
from receiver.store.database import Database
from receiver.store.history import History, read_history
from receiver.telling.card import IncidentView
from receiver.telling.delivery import DeliveryError
from receiver.telling.view import view_of
from receiver.telling.words import load, one_line

log = structlog.get_logger("elsewhere")
NAME = "elsewhere"
"""The label ``notifier`` of what goes this way."""
PACE_SECONDS = 15.0
AGAIN = timedelta(minutes=1)
"""The pause after a failure."""
LONGEST = 1500
"""Characters of a text: some services cut what is longer."""
_WORDS = load("elsewhere.j2")


class Telling(Protocol):
    """The way there; receiver/notifiers/elsewhere.py."""

    async def tell(self, title: str, text: str) -> str:
        """Who took it, in words. Raises DeliveryError."""
        ...


class Text(NamedTuple):
    title: str
    body: str


class Keeper:
    """Looks again and again at who has not been heard."""

    def __init__(
        self,
        database: Database,
        settings: ReceiverSettings,
        metrics: Metrics,
        clock: Clock,
        telling: Telling,
    ) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._telling = telling
        self._again: datetime | None = None
        self._said = ""

    async def run(self) -> None:
        await look_for_ever(self.look, PACE_SECONDS, log)

    async def look(self) -> None:
        """Tell what is to be told now. Raises StoreError."""
        now = self._clock.now()
        if self._again and now < self._again <= now + AGAIN:
            return
        after = self._settings.fallback_after
        waiting = await self._database.run(lambda c: unheard.waiting(c, now - after))
        for one in waiting:
            minutes = int((now - one.since).total_seconds() // 60)
            why = one_line(_WORDS.why(one.notifier.capitalize(), minutes))
            await self._tell(one.incident_id, why, ended=False)
        for incident_id in await self._database.run(lambda c: unheard.over(c, now)):
            await self._tell(incident_id, "", ended=True)

    async def _tell(self, incident_id: int, why: str, *, ended: bool) -> None:
        now = self._clock.now()
        history = await self._database.run(lambda c: read_history(c, incident_id, now))
        if history is None:
            return
        text = compose(history, self._settings, why)
        try:
            taken = await self._telling.tell(*text)
        except DeliveryError as error:
            self._failed(error.words, now)
            return
        self._again, self._said = None, ""
        words = f"{taken}: {text.title}"
        await self._database.run(
            lambda c: unheard.told(c, incident_id, words, self._clock.now(), ended=ended)
        )
        self._metrics.notifications.labels(NAME, "sent").inc()
        log.info("told elsewhere", incident=incident_id, taken=taken, over=ended)

    def _failed(self, words: str, now: datetime) -> None:
        self._again = now + AGAIN
        self._metrics.notifications.labels(NAME, "retried").inc()
        if words != self._said:
            log.warning("could not tell elsewhere either; trying again", problem=words)
        self._said = words


def compose(history: History, settings: ReceiverSettings, why: str) -> Text:
    """The incident in plain text: what is wrong, what was done, who is needed, where to look. Pure."""
    view = view_of(history, settings)
    firing = [one for one in view.alerts if one.firing] or list(view.alerts)
    lines = [f"[dry run] {view.service}" if view.dry else view.service]
    lines += [one_line(_WORDS.alert(one, _time(one.since, settings))) for one in firing[:5]]
    lines += [one_line(_WORDS.step(one)) for one in view.steps[-5:]]
    lines += [view.verdict, one_line(_WORDS.needed(view)) if view.state == "open" else ""]
    lines += [_address(view), why]
    title = one_line(_WORDS.title(view, firing[0] if firing else None))
    return Text(
        _cut(_plain(title), 200), _cut("\n".join(filter(None, map(_plain, lines))), LONGEST)
    )


def _address(view: IncidentView) -> str:
    return f"{view.public_url.rstrip('/')}/incidents/{view.id}" if view.public_url else ""


def _time(moment: datetime, settings: ReceiverSettings) -> str:
    return f"{moment.astimezone(settings.zone):%H:%M}"


def _plain(line: str) -> str:
    """One line of printable characters: what alerts say comes from anywhere."""
    return " ".join("".join(c if c.isprintable() else " " for c in line).split())


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
