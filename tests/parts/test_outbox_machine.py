"""News, calls and notes, a destination that fails in every way, a sender that is killed: in the end all is told."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from prometheus_client import CollectorRegistry

from receiver.metrics import Metrics
from receiver.records import Ring
from receiver.settings import ReceiverSettings
from receiver.store import incidents, messages
from receiver.store.database import Database
from receiver.telling.card import IncidentView
from receiver.telling.delivery import DeliveryError, File
from receiver.telling.note import Note
from receiver.telling.outbox import Outbox

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
SERVICES = ("a", "b")
TROUBLES = (
    "none",
    "refused",
    "limited",
    "lost before",
    "lost after",
    "killed before",
    "killed after",
)


class KilledError(BaseException):
    """The process is gone in the middle of what it does."""


class Channel:
    """A notifier and the place behind it."""

    name = "discord"

    def __init__(self) -> None:
        self.cards: dict[str, IncidentView] = {}
        self.calls: Counter[int] = Counter()
        self.notes: Counter[str] = Counter()
        self.trouble = "none"
        self._numbers = iter(range(1, 10**6))

    async def send(self, view: IncidentView, message_id: str | None, *, ring: Ring) -> str:
        number = message_id or f"m{next(self._numbers)}"
        self._meet("before")
        self.cards[number] = view
        self._meet("after")
        return number

    async def call(self, view: IncidentView, *, ring: Ring) -> str:
        self._meet("before")
        self.calls[view.id] += 1
        self._meet("after")
        return f"c{next(self._numbers)}"

    async def attach(self, message_id: str, files: Sequence[File]) -> Mapping[str, str]:
        raise AssertionError("no evidence is collected here")

    async def post(self, note: Note, *, ring: Ring) -> str:
        self._meet("before")
        self.notes[note.text.split("\n")[-1]] += 1  # one that may stand there already says so first
        self._meet("after")
        return f"n{next(self._numbers)}"

    def _meet(self, when: str) -> None:
        trouble, now = self.trouble, self.trouble.endswith(when)
        if trouble in ("refused", "limited") and when == "before":
            self.trouble = "none"
            wait = 20.0 if trouble == "limited" else None
            raise DeliveryError(trouble, retry_after=wait)
        if now:
            self.trouble = "none"
            if trouble.startswith("killed"):
                raise KilledError
            raise DeliveryError(trouble, ambiguous=True)


class OutboxMachine(RuleBasedStateMachine):
    """The real outbox on a real store; what ought to be told is written down apart."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="machine-"))
        self.loop = asyncio.new_event_loop()
        self.database = Database(self.directory / "s.sqlite3")
        self.database.open()
        self.moment = START
        self.channel = Channel()
        self.wanted: Counter[str] = Counter()
        self.verdicts: dict[int, str] = {}
        self.notes = 0
        self._start()

    def now(self) -> datetime:
        """As a clock."""
        return self.moment

    def _start(self) -> None:
        """A new process."""
        self.outbox = Outbox(
            self.database,
            {"discord": self.channel},
            ReceiverSettings(),
            Metrics(CollectorRegistry(), ["discord"]),
            self,
            asyncio.Event(),
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        try:
            self._all_is_told_in_the_end()
        finally:
            self.database.close()
            self.loop.close()
            shutil.rmtree(self.directory)

    @rule(service=st.sampled_from(SERVICES), ring=st.sampled_from(list(Ring)))
    def there_is_news(self, service: str, ring: Ring) -> None:
        verdict = f"news {len(self.verdicts)} {self.moment:%H:%M:%S.%f}"

        def change(c: Any) -> int:
            found = incidents.open_of(c, service)
            number = (
                found.id if found else incidents.open_incident(c, service, "critical", self.moment)
            )
            incidents.set_verdict(c, number, verdict)
            messages.touch_card(c, number, "discord", ring, self.moment)
            return number

        self.verdicts[self.run(self.database.run(change))] = verdict

    @rule(number=st.integers(1, 2))
    def a_person_is_called(self, number: int) -> None:
        if number in self.verdicts:
            self.run(self.database.run(lambda c: messages.add_call(c, number, "discord", Ring.MENTION, self.moment)))  # fmt: skip

    @rule()
    def a_note_is_written(self) -> None:
        self.notes += 1
        note = Note(title="A note", text=f"note {self.notes}")
        self.wanted[note.text] += 1
        self.run(self.database.run(lambda c: messages.add_note(c, note, "discord", self.moment)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 30.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    @rule(trouble=st.sampled_from(TROUBLES))
    def one_is_sent(self, trouble: str) -> None:
        self.channel.trouble = trouble
        self._pump()

    def _pump(self) -> float:
        """What is due goes out; a sender that is killed begins anew. Seconds until the next."""
        try:
            wait: float = self.run(self.outbox._next())
        except KilledError:
            self._start()
            return 0.0
        return wait

    @invariant()
    def no_card_is_shown_that_never_was_true(self) -> None:
        for view in self.channel.cards.values():
            assert view.verdict.startswith("news")

    def _all_is_told_in_the_end(self) -> None:
        self.channel.trouble = "none"
        for _ in range(200):
            if self.run(self.database.run(messages.message_due)) is None:
                break
            self._pump()
            self.moment += timedelta(seconds=30)
        assert self.run(self.database.run(messages.message_due)) is None
        rows = self.run(self.database.run(lambda c: [dict(r) for r in c.execute("SELECT * FROM messages")]))  # fmt: skip
        cards = {r["incident_id"]: r for r in rows if r["kind"] == "card"}
        assert set(cards) == set(self.verdicts)
        shown = Counter(view.id for view in self.channel.cards.values())
        for number, verdict in self.verdicts.items():
            card = cards[number]
            assert self.channel.cards[card["message_id"]].verdict == verdict, (
                "the card that counts is true"
            )
            assert shown[number] <= 1 + card["copies"], "every copy is owned up to"
        assert set(self.channel.notes) == set(self.wanted), "every note is told"
        for row in rows:
            told = row["message_id"] or "overtaken"
            assert row["delivered"] == row["revision"], told
        rang = {r["incident_id"] for r in rows if r["kind"] == "call" and r["message_id"]}
        assert rang == set(self.channel.calls), (
            "every call is made, or overtaken by a card that rang"
        )


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,  # the suite is the same each time
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
