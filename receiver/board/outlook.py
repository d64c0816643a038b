"""What each alert of the table would do now: taken into the store, looked at, and taken back again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Connection
from typing import NoReturn

from receiver.clock import Clock
from receiver.deciding import gates
from receiver.deciding.decision import asked
from receiver.deciding.policy import Policy, Row
from receiver.deciding.situation import Lookout
from receiver.hearing.alertmanager import Alert, Webhook
from receiver.hearing.intake import Intake, accept
from receiver.records import Step
from receiver.store import incidents, steps
from receiver.store.database import Database
from receiver.store.history import History, read_history

SERVICE = "sermon-uploader"
LOOK_SECONDS = 20.0
"""How long all gates of all rows may take."""


@dataclass(frozen=True)
class Prospect:
    """One step of a row: how it stands with it. ``gates``: each one's word, without that about the alert itself."""

    action: str
    target: str
    state: str
    words: str
    gates: Sequence[gates.Verdict] = ()

    @property
    def outcome(self) -> str:
        """``would begin``, or what the first gate that objects says."""
        held = next((one for one in self.gates if one.outcome != "pass"), None)
        return held.outcome if held else "pass"


@dataclass(frozen=True)
class Outlook:
    """What an alert would do."""

    row: Row
    decision: str
    reason: str
    steps: Sequence[Prospect]


@dataclass(frozen=True)
class _Imagined:
    decision: str
    reason: str
    history: History | None
    steps: Sequence[Step]


class _TakenBackError(Exception):
    """Undoes the change that it is raised in, and carries what was seen there."""

    def __init__(self, seen: _Imagined) -> None:
        super().__init__("taken back")
        self.seen = seen


def alert_from(name: str, labels: Mapping[str, str], policy: Policy) -> Alert:
    """A firing alert as Alertmanager would send it: the row's own labels, beneath those given."""
    row = next(
        (
            r
            for r in policy.alerts
            if r.alert == name and all(labels.get(k, v) == v for k, v in r.match.items())
        ),
        None,
    )
    fixed = {"severity": row.severity, **row.match} if row else {}
    given = {"alertname": name, "service": SERVICE, **fixed, **labels}
    # A command line that is not UTF-8 gives lone surrogates: neither SQLite nor Discord takes them.
    every = {_utf8(key): _utf8(value) for key, value in given.items()}
    return Alert.model_validate(
        {"status": "firing", "labels": every, "startsAt": datetime.now(UTC).isoformat()}
    )


def _utf8(text: str) -> str:
    return text.encode(errors="replace").decode()


class Seer:
    """``lookout`` must ask no Alertmanager: it knows nothing of an alert that is only imagined."""

    def __init__(self, database: Database, intake: Intake, lookout: Lookout, clock: Clock) -> None:
        self._database = database
        self._intake = intake
        self._lookout = lookout
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def outlooks(self) -> list[Outlook]:
        """Of every row, in the table's order; what could not be asked in time says so."""
        async with self._one_at_a_time:
            until = asyncio.get_running_loop().time() + LOOK_SECONDS
            return [await self._outlook(row, until) for row in self._lookout.policy.alerts]

    async def _outlook(self, row: Row, until: float) -> Outlook:
        now = self._clock.now()
        alert = alert_from(row.alert, row.match, self._lookout.policy)
        seen = await self._imagine(alert, now)
        found = [await self._prospect(one, seen.history, now, until) for one in seen.steps]
        return Outlook(row, seen.decision, seen.reason, found)

    async def _imagine(self, alert: Alert, now: datetime) -> _Imagined:
        webhook = Webhook(
            version="4", group_key="board", status="firing", receiver="board", alerts=[alert]
        )

        def take_and_undo(c: Connection) -> NoReturn:
            ((_, decision),) = accept(c, self._intake, webhook, now)
            incident = incidents.open_of(c, alert.service)
            history = read_history(c, incident.id, now) if incident else None
            planned = steps.steps(c, incident.id) if incident else []
            raise _TakenBackError(_Imagined(decision.kind, decision.reason, history, planned))

        try:
            await self._database.run(take_and_undo)
        except _TakenBackError as undone:
            return self._of_row(alert, undone.seen)

    def _of_row(self, alert: Alert, seen: _Imagined) -> _Imagined:
        """Only the newest of each step that the row asks for."""
        row = self._lookout.policy.row(alert.labels, alert.severity)
        wanted = asked(row, alert.labels, self._lookout.settings.minio_service)
        newest = {(s.action, s.target): s for s in seen.steps if (s.action, s.target) in wanted}
        return _Imagined(seen.decision, seen.reason, seen.history, list(newest.values()))

    async def _prospect(
        self, step: Step, history: History | None, now: datetime, until: float
    ) -> Prospect:
        begun = Prospect(step.action, step.target, step.state, step.words)
        if step.state != "pending" or history is None:
            return begun
        try:
            async with asyncio.timeout_at(until):
                facts, _ = await self._lookout.judge(step, history, now)
        except TimeoutError:
            words = "could not be asked in time"
            return Prospect(step.action, step.target, step.state, words, _UNASKED)
        others = [one for one in gates.judge_all(facts) if one.gate != "still firing"]
        return Prospect(step.action, step.target, step.state, step.words, others)


_UNASKED = (gates.Verdict("all", "wait", "could not be asked in time"),)
