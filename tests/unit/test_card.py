"""The card: every text harmless, every limit kept, the bodies as they are on record in golden/.

``UPDATE_GOLDEN=1 pytest tests/unit/test_card.py`` writes the golden files anew; read them as a diff.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.notifiers.discord import render
from receiver.records import Ring
from receiver.telling.card import (
    AlertLine,
    IncidentView,
    StepLine,
    compose,
)
from receiver.telling.markdown import utf16_len
from tests.standins.discord_form import check_message
from tests.standins.discord_problems import Problems

GOLDEN = Path(__file__).parent / "golden"
NIGHT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
ROLE = "<@&4242>"

DOWN = AlertLine(
    name="ServiceDown",
    severity="critical",
    cause="app",
    summary="Sermon Uploader is down",
    description="The upload page has not answered for a minute",
    firing=True,
    since=NIGHT,
    until=None,
    runbook_url="https://example.org/runbooks/ServiceDown",
    dashboard_url="http://pi.lan:3000/d/sermons?var-x={app}",
    repeats=0,
)
ERRORS = replace(
    DOWN, name="HighErrorRate", cause="", summary="Half of all requests fail", repeats=2
)
RESTART = StepLine(
    "restart", "failed", NIGHT + timedelta(seconds=9), "the probe still says HTTP 502", ""
)
ROLLBACK = StepLine(
    "rollback",
    "running",
    NIGHT + timedelta(minutes=2),
    "run 77 is in progress; going back to v1 (abc1234)",
    "https://github.com/owner/app/actions/runs/77",
)
PERSON = StepLine("person", "pending", NIGHT + timedelta(minutes=10), "", "")
OPENED = IncidentView(
    id=12,
    service="sermon-uploader",
    state="open",
    severity="critical",
    opened_at=NIGHT,
    resolved_at=None,
    reopened=0,
    alerts=(DOWN,),
    steps=(),
    coming=(replace(RESTART, state="pending", words=""), PERSON),
    person_called=False,
    contacts="Anna 0151 234, Ben 0170 567",
    truncated=0,
    dry=False,
    public_url="https://board.example.org",
    verdict="",
)
VIEWS = {
    "opened": OPENED,
    "at_work": replace(
        OPENED,
        alerts=(replace(ERRORS, firing=False, until=NIGHT + timedelta(minutes=1)), DOWN),
        steps=(RESTART, ROLLBACK),
        coming=(PERSON,),
    ),
    "person_called": replace(
        OPENED,
        alerts=(DOWN, ERRORS),
        steps=(RESTART, replace(ROLLBACK, state="failed", words="run 77 ended as failure")),
        coming=(),
        person_called=True,
        reopened=1,
        verdict="The rollback did not succeed: a person is needed",
    ),
    "resolved": replace(
        OPENED,
        state="resolved",
        alerts=(replace(DOWN, firing=False, until=NIGHT + timedelta(minutes=5)),),
        steps=(RESTART, replace(ROLLBACK, state="done", words="rolled back to v1 (abc1234)")),
        coming=(),
        resolved_at=NIGHT + timedelta(minutes=6),
        verdict="v1 (abc1234) runs again, verified by probe",
    ),
    "dry_warning": replace(
        OPENED, severity="warning", dry=True, coming=(), public_url="", truncated=7
    ),
}


@pytest.mark.parametrize("case", [*VIEWS, "opened_ping", "person_called_ping"])
def test_the_body_is_the_one_on_record(case: str) -> None:
    name = case.removesuffix("_ping")
    body = render(VIEWS[name], mention=ROLE, ring=Ring.MENTION if name != case else Ring.SILENT)
    file = GOLDEN / f"card_{case}.json"
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


HOSTILE = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "@everyone <@1> <@&4242> @here",
            "```" * 200,
            "[a](https://b)" * 90,
            "🔥" * 3000,
            "\u202e\x00\u200b" * 50,
            "*" * 100_000,
            "https://example.org/" + "x" * 370,
            "\ud800\udfff",
            "\n" * 500,
        ]
    ),
)
MOMENTS = st.datetimes(timezones=st.just(UTC))
COUNTS = st.integers(-5, 10**9)
ALERTS = st.builds(
    AlertLine,
    *[HOSTILE] * 5,
    firing=st.booleans(),
    since=MOMENTS,
    until=st.none() | MOMENTS,
    runbook_url=HOSTILE,
    dashboard_url=HOSTILE,
    repeats=COUNTS,
)
STEPS = st.builds(
    StepLine,
    st.sampled_from(["restart", "rollback", "person", "cleanup", "emergency_stop", "investigate"])
    | HOSTILE,
    st.sampled_from(["pending", "running", "done", "failed", "refused", "dropped"]) | HOSTILE,
    st.none() | MOMENTS,
    HOSTILE,
    HOSTILE,
)
ANY_VIEW = st.builds(
    IncidentView,
    id=COUNTS,
    service=HOSTILE,
    state=st.sampled_from(["open", "resolved"]),
    severity=st.sampled_from(["critical", "warning", "info"]),
    opened_at=MOMENTS,
    resolved_at=st.none() | MOMENTS,
    reopened=COUNTS,
    alerts=st.lists(ALERTS, max_size=12).map(tuple),
    steps=st.lists(STEPS, max_size=8).map(tuple),
    coming=st.lists(STEPS, max_size=8).map(tuple),
    person_called=st.booleans(),
    contacts=HOSTILE,
    truncated=COUNTS,
    dry=st.booleans(),
    public_url=HOSTILE,
    verdict=HOSTILE,
)


def assert_acceptable(body: dict[str, Any]) -> None:
    """What Discord would say of it, with room to spare in the total."""
    json.dumps(body).encode()
    problems = Problems()
    stored = check_message(body, problems)
    assert not problems.found
    embed = stored["embeds"][0]
    texts = [embed["title"], embed["description"], embed["footer"]["text"]]
    texts += [part for field in embed["fields"] for part in (field["name"], field["value"])]
    assert all(texts)
    assert sum(map(utf16_len, texts)) <= 5500
    shown = "\n".join([*texts, body.get("content", "").removeprefix(ROLE)])
    assert not re.search(r"@(everyone|here)|<(@[!&]?|#|a?:\w+:)\d+>", shown)


@given(ANY_VIEW, st.sampled_from(Ring))
@settings(max_examples=70, deadline=None)
def test_whatever_the_incident_says_discord_accepts_the_card(
    view: IncidentView, ring: Ring
) -> None:
    body = render(view, mention=ROLE, ring=ring)
    assert_acceptable(body)
    assert body["allowed_mentions"] == {
        "parse": [],
        **({"roles": ["4242"]} if ring is Ring.MENTION else {}),
    }
    assert ("content" in body) is (ring > Ring.SILENT)


def test_a_thousand_alerts_say_how_many_are_left_out() -> None:
    view = replace(OPENED, alerts=(replace(DOWN, summary="x" * 100_000),) * 1000, truncated=5)
    body = render(view, mention="", ring=Ring.SILENT)
    assert_acceptable(body)
    value = compose(view).fields[1][1]
    left_out = re.search(r"and (\d+) more$", value)
    assert left_out
    assert value.count("**ServiceDown**") + int(left_out[1]) == 1005


def test_what_fires_comes_first_and_the_worst_before_the_rest() -> None:
    over = replace(DOWN, name="Over", firing=False, until=NIGHT)
    mild = replace(DOWN, name="Mild", severity="warning")
    value = compose(replace(OPENED, alerts=(over, mild, DOWN))).fields[1][1]
    assert re.findall(r"\*\*(\w+)\*\*", value) == ["ServiceDown", "Mild", "Over"]


def test_long_texts_are_shortened_before_lines_are_dropped() -> None:
    wordy = replace(DOWN, summary="word " * 40, runbook_url="", dashboard_url="")
    value = compose(replace(OPENED, alerts=(wordy,) * 6)).fields[1][1]
    assert value.count("**ServiceDown**") == 6
    assert "…" in value
    assert "more" not in value


def test_of_too_many_steps_the_latest_stay() -> None:
    steps = tuple(replace(RESTART, words=f"try {number} " + "x" * 200) for number in range(30))
    done = dict(compose(replace(OPENED, steps=steps)).fields)["What was done"]
    assert re.match(r"and \d+ earlier\n", done)
    assert "try 29" in done.splitlines()[-1]


@pytest.mark.parametrize(
    ("mention", "allowed"),
    [
        ("<@&12>", {"parse": [], "roles": ["12"]}),
        ("<@34>", {"parse": [], "users": ["34"]}),
        ("<@!34>", {"parse": [], "users": ["34"]}),
        ("@here", {"parse": ["everyone"]}),
        ("", {"parse": []}),
    ],
)
def test_only_a_ping_may_ring(mention: str, allowed: dict[str, Any]) -> None:
    assert render(OPENED, mention=mention, ring=Ring.MENTION)["allowed_mentions"] == allowed
    for quieter in (Ring.SILENT, Ring.NOTIFY):
        assert render(OPENED, mention=mention, ring=quieter)["allowed_mentions"] == {"parse": []}
