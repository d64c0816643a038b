"""What waits to be told and is not true any more is not told, for a reason in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver.records import AlertInstance, Incident, Message, Ring
from receiver.store.heard import RESOLVED, Heard
from receiver.store.history import History
from receiver.telling.resolved import resolved_note
from receiver.telling.staleness import why_overtaken

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
INCIDENT = Incident(1, "sermon-uploader", "open", "critical", NOW, NOW, None, 0, "", 0, None)
ALERT = AlertInstance(
    1, 1, "f", "ServiceDown", "critical", {}, {"summary": "It is *down*"}, NOW, NOW, NOW, NOW, 0
)
OPEN = History(INCIDENT, (ALERT,), (), (), (), (), None)
ENDED = replace(
    INCIDENT, state="resolved", resolved_at=NOW + timedelta(minutes=5), verdict="A restart cured it"
)
OVER = replace(OPEN, incident=ENDED)
UNHEARD = Heard(None, Ring.SILENT, None)
QUIET = Heard(NOW, Ring.SILENT, None)
LOUD = Heard(NOW, Ring.MENTION, None)


def message(kind: Any, topic: str = "", **changes: Any) -> Message:
    given: dict[str, Any] = {
        "id": 1,
        "incident_id": 1,
        "kind": kind,
        "notifier": "discord",
        "ring": Ring.MENTION if kind == "call" else Ring.SILENT,
        "message_id": None,
        "revision": 1,
        "delivered": 0,
        "due_at": NOW,
        "attempts": 0,
        "error": "",
        "copies": 0,
        "note": "",
        "since": NOW,
        "topic": topic,
    }
    return Message(**{**given, **changes})


LATER = NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("one", "history", "heard", "why"),
    [
        (message("card"), OPEN, UNHEARD, ""),
        (message("card"), OVER, LOUD, ""),
        (message("call"), OPEN, LOUD, ""),
        (message("call"), OPEN, UNHEARD, ""),
        (message("call"), OVER, LOUD, "over"),
        (message("call"), OPEN, replace(LOUD, posted_at=LATER), "the card itself came later"),
        (message("call"), OPEN, replace(QUIET, posted_at=LATER), ""),
        (message("call"), OPEN, Heard(LATER, Ring.NOTIFY, None), ""),
        (message("call", ring=Ring.NOTIFY), OPEN, Heard(LATER, Ring.NOTIFY, None), "came later"),
        (message("note"), OPEN, LOUD, ""),
        (message("note", incident_id=None), None, None, ""),
        (message("note", RESOLVED), OVER, LOUD, ""),
        (message("note", RESOLVED), OVER, replace(QUIET, called_at=LATER), ""),
        (message("note", RESOLVED), OVER, QUIET, "nobody had been rung"),
        (message("note", RESOLVED), OVER, UNHEARD, "nobody had been rung"),
        (message("note", RESOLVED), OVER, replace(LOUD, told_over_at=LATER), "nobody had been"),
        (
            message("note", RESOLVED),
            OVER,
            replace(LOUD, told_over_at=LATER, called_at=LATER + timedelta(seconds=1)),
            "",
        ),
        (message("note", RESOLVED), OPEN, LOUD, "it has come back"),
    ],
)
def test_why(one: Message, history: History | None, heard: Heard | None, why: str) -> None:
    said = why_overtaken(one, history, heard)
    assert bool(said) is bool(why)
    assert why in said


def test_what_is_told_of_an_end() -> None:
    note = resolved_note(OVER, NOW)
    assert (note.title, note.short, note.severity) == ("🟢 Over: It is \\*down\\*", True, None)
    assert note.text == ("Incident 1 ended after 5m. A restart cured it. You need not do anything.")


def test_whatever_the_alert_says_the_note_is_harmless_and_short() -> None:
    hostile = replace(ALERT, annotations={"summary": "@everyone <@1> ```" + "😀" * 5000})
    verdict = replace(ENDED, verdict="@here " * 5000)
    note = resolved_note(replace(OVER, alerts=(hostile,), incident=verdict), NOW)
    assert "@everyone" not in note.title
    assert "@here" not in note.text
    assert len(note.title) + len(note.text) < 1500
