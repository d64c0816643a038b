"""What the end of an incident's alerts changes in the store: it is over, only calm, or not over yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from sqlite3 import Connection

from receiver.deciding.ending import Ending, Sight, judge_end
from receiver.deciding.gates import Confirmation
from receiver.deciding.situation import Lookout
from receiver.store import incidents, messages, steps
from receiver.store.history import History
from receiver.telling.resolved import tell_resolved

_OVER = "the alerts are over"


@dataclass(frozen=True)
class Closing:
    """One look at the end of an incident, to be judged again in the transaction that acts on it."""

    lookout: Lookout
    seen: Confirmation
    sight: Sight
    now: datetime
    again: datetime
    """When to look again where it is not over."""

    def apply(self, c: Connection, history: History) -> str:
        """Returns what it came to. ``history`` is of before the look: an alert may fire by now."""
        incident_id = history.incident.id
        now_stands = incidents.incident(c, incident_id)
        if now_stands is None or now_stands.state != "open":
            return "closed by hand"
        fresh = replace(
            history, alerts=incidents.alerts(c, incident_id), steps=steps.steps(c, incident_id)
        )
        asking = self.lookout.asking(fresh.alerts)
        ending = judge_end(fresh, asking, self.seen, self.sight)
        incidents.set_check(c, incident_id, self.again if ending.kind == "wait" else None)
        if ending.kind in ("resolve", "calm"):
            self._drop(c, fresh, keep_person=False)
            incidents.set_verdict(c, incident_id, ending.words)
        if ending.kind == "calm":
            incidents.set_ladder(c, incident_id, None)
            messages.record(c, incident_id, "calm", ending.words, self.now)
        if ending.kind == "resolve":
            incidents.resolve_incident(c, incident_id, ending.words, self.now)
            messages.record(c, incident_id, "resolved", ending.words, self.now)
            tell_resolved(c, incident_id, self.now)
        if ending.kind == "wait":
            self._wait(c, fresh, ending)
        return ending.kind

    def _wait(self, c: Connection, fresh: History, ending: Ending) -> None:
        """Alertmanager also resolves alerts when Prometheus has died: while our own look disagrees,
        the call for a person stays on the ladder."""
        if self._drop(c, fresh, keep_person=True):
            messages.touch_cards(c, fresh.incident.id, self.now)  # it says what comes next
        if ending.words and ending.words != fresh.incident.verdict:
            incidents.set_verdict(c, fresh.incident.id, ending.words)
            messages.record(c, fresh.incident.id, "not over yet", ending.words, self.now)

    def _drop(self, c: Connection, fresh: History, *, keep_person: bool) -> bool:
        """What an alert that still fires asks a person about stays. Whether anything was dropped."""
        number, wanted = fresh.incident.id, self.lookout.wanted
        keep = [step.id for step in fresh.steps if step.asks and wanted(step, fresh)]
        dropped = steps.drop_pending(c, number, _OVER, self.now, keep_person=keep_person, keep=keep)
        for step in dropped:
            messages.add_event(c, number, f"{step.action} drop", _OVER, self.now)
        return bool(dropped)
