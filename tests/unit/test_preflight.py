"""What makes a rollback on GitHub impossible, weak or untold: a table a question."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from receiver.github.answers import Deployment, DeploymentStatus, Label, Run, Runner
from receiver.github.api import token_expiration
from receiver.github.definition import Definition
from receiver.github.preflight import (
    EXPIRES_SOON,
    STUCK,
    Finding,
    Outcome,
    Readiness,
    judge_deployment,
    judge_runner,
    judge_runs,
    judge_token,
    judge_workflow,
)

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
SHIPPED = (Path(__file__).parents[2] / ".github" / "workflows" / "rollback.yml").read_text()
DAY = timedelta(days=1)


NAMELESS = re.sub(r"(?m)^run-name:.*\n", "", SHIPPED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SHIPPED, ()),
        ("on: workflow_dispatch\njobs: {}\n", "no input rollback_type"),
        ("on: [push]\n", "no workflow_dispatch"),
        ("on: {push: {}}\n", "no workflow_dispatch"),
        ("name: nothing\n", "no workflow_dispatch"),
        ("on: {workflow_dispatch: null}\n", "no input rollback_type"),
        ("on: {workflow_dispatch: {inputs: [1, 2]}}\n", "no input rollback_type"),
        (SHIPPED.replace("      target_image:", "      image:"), "no input target_image"),
        (re.sub(r"options: \[previous_version, ", "options: [", SHIPPED), "rollback_type does not take previous_version"),
        (SHIPPED.replace("        type: boolean", "        type: number"), "force_rollback does not take true"),
        (SHIPPED.replace("      expires_at:", "      colour: {required: true}\n      expires_at:"), "an input colour, which we do not send"),
        (SHIPPED.replace("      expires_at:", "      colour: {required: true, default: red}\n      expires_at:"), ()),
    ],
)  # fmt: skip
def test_what_a_workflow_takes(text: str, words: str | tuple[()]) -> None:
    faults = Definition(text).faults()
    assert faults == () if words == () else any(str(words) in one for one in faults), faults


@pytest.mark.parametrize(
    "text", ["", "a: [", "- 1", "just words", "\0", "&a [*a]", "a" * 20 + ": {"]
)
def test_what_is_no_workflow(text: str) -> None:
    with pytest.raises(ValueError, match="it is n"):
        Definition(text)


@pytest.mark.parametrize(
    ("runs_on", "wanted"),
    [
        ("[self-hosted]", [{"self-hosted"}]),
        ("self-hosted", [{"self-hosted"}]),
        ("[Self-Hosted, ARM64]", [{"self-hosted", "arm64"}]),
        ("ubuntu-latest", []),
        ("{group: pis, labels: [self-hosted, pi]}", [{"self-hosted", "pi"}]),
        ("{group: pis}", []),
        ("[self-hosted, '${{ inputs.x }}']", [{"self-hosted"}]),
        ("'${{ inputs.x }}'", []),
        ("7", []),
    ],
)
def test_which_runner_a_workflow_asks_for(runs_on: str, wanted: list[set[str]]) -> None:
    text = f"jobs: {{one: {{runs-on: {runs_on}}}, two: {{runs-on: ubuntu-latest}}, three: null}}"
    assert Definition(text).labels() == tuple(map(frozenset, wanted))


@pytest.mark.parametrize(
    ("state", "text", "outcome", "words"),
    [
        ("active", SHIPPED, "ok", "active and takes our inputs"),
        ("disabled_manually", SHIPPED, "problem", "disabled_manually"),
        ("disabled_inactivity", SHIPPED, "problem", "disabled_inactivity"),
        ("deleted", SHIPPED, "problem", "deleted"),
        ("active", None, "untold", "may not read"),
        ("active", "on: push", "problem", "no workflow_dispatch"),
        ("active", "[", "problem", "not YAML"),
        ("active", NAMELESS, "weak", "run-name"),
    ],
)
def test_the_workflow(state: str, text: str | None, outcome: Outcome, words: str) -> None:
    found = judge_workflow("rollback.yml", "main", state, text)
    assert found.outcome == outcome
    assert words in found.words
    assert found.outcome == "ok" or found.mend


def runner(name: str, status: str, *labels: str) -> Runner:
    return Runner(name=name, status=status, labels=tuple(Label(name=one) for one in labels))


@pytest.mark.parametrize(
    ("text", "runners", "outcome", "words"),
    [
        (SHIPPED, [runner("pi", "online", "self-hosted")], "ok", "a runner is online"),
        (SHIPPED, [runner("pi", "online", "Self-Hosted", "x")], "ok", "online"),
        (SHIPPED, [runner("pi", "offline", "self-hosted")], "problem", "the runner pi is offline"),
        (SHIPPED, [runner("pi", "offline", "self-hosted"), runner("two", "online", "self-hosted")], "ok", "online"),
        (SHIPPED, [runner("pi", "online", "other")], "problem", "no runner has the labels self-hosted"),
        (SHIPPED, [runner("pi", "draining", "self-hosted")], "problem", "offline"),
        (SHIPPED, [], "untold", "no runner that could be seen"),
        (SHIPPED, None, "untold", "may not ask"),
        (None, [runner("pi", "offline", "self-hosted")], "problem", "offline"),
        ("[", [runner("pi", "online", "self-hosted")], "ok", "online"),
        ("jobs: {a: {runs-on: ubuntu-latest}}", [], "ok", "needs no runner"),
    ],
)  # fmt: skip
def test_the_runner(
    text: str | None, runners: list[Runner] | None, outcome: Outcome, words: str
) -> None:
    found = judge_runner(text, runners)
    assert (found.outcome, words in found.words) == (outcome, True), found


@pytest.mark.parametrize(
    ("configured", "said", "outcome", "words"),
    [
        (None, None, "ok", "good"),
        (NOW + 30 * DAY, None, "ok", "until 2026-04-06"),
        (NOW + EXPIRES_SOON, None, "ok", "until"),
        (NOW + EXPIRES_SOON - timedelta(seconds=1), None, "weak", "in 6d23h"),
        (None, NOW + DAY, "weak", "GitHub says that the token ends on 2026-03-08: in 1d"),
        (NOW - DAY, None, "weak", "GITHUB_TOKEN_EXPIRES says that the token ends on 2026-03-06, which is over"),
        # What a person has set is believed before GitHub's header.
        (NOW + 30 * DAY, NOW + DAY, "ok", "until 2026-04-06"),
    ],
)  # fmt: skip
def test_the_token(
    configured: datetime | None, said: datetime | None, outcome: Outcome, words: str
) -> None:
    found = judge_token(configured, said, NOW)
    assert (found.outcome, words in found.words) == (outcome, True), found


@pytest.mark.parametrize(
    ("header", "ends"),
    [
        ("2026-10-07 19:07:53 UTC", datetime(2026, 10, 7, 19, 7, 53, tzinfo=UTC)),
        ("2026-09-05 17:55:53 +0500", datetime(2026, 9, 5, 12, 55, 53, tzinfo=UTC)),
        ("2026-09-05 17:55:53 -02:30", datetime(2026, 9, 5, 20, 25, 53, tzinfo=UTC)),
        ("2026-03-07 23:00:00 UTC", None),  # the time of the answer: it says nothing
        ("2026-03-07 23:59:59 UTC", None),
        ("2026-03-08 00:00:01 UTC", datetime(2026, 3, 8, 0, 0, 1, tzinfo=UTC)),
        ("2025-01-01 00:00:00 UTC", None),
        ("2026-13-41 00:00:00 UTC", None),
        ("soon", None),
        ("", None),
    ],
)
def test_what_the_header_says_of_the_token(header: str, ends: datetime | None) -> None:
    headers = {
        "Date": "Sat, 07 Mar 2026 23:00:00 GMT",
        "GitHub-Authentication-Token-Expiration": header,
    }
    assert token_expiration(headers) == ends


def test_without_a_date_the_header_says_nothing() -> None:
    for headers in ({}, {"Date": "now"}):
        header = {"GitHub-Authentication-Token-Expiration": "2026-10-07 19:07:53 UTC"}
        assert token_expiration(headers | header) is None


def test_what_is_under_way() -> None:
    assert judge_runs([], UTC).outcome == "ok"
    old, new = (
        Run(id=number, status=status, created_at=NOW - timedelta(minutes=minutes), html_url="https://g/1")
        for number, status, minutes in ((1, "in_progress", 9), (2, "", 1))
    )  # fmt: skip
    found = judge_runs([("rollback.yml", new), ("deploy.yml", old)], UTC)
    assert (found.outcome, found.since) == ("busy", old.created_at)
    assert found.words == "run 1 of deploy.yml is in progress since 2026-03-07 22:51 UTC"
    assert "under way" in judge_runs([("rollback.yml", new)], UTC).words
    there = judge_runs([("deploy.yml", old)], ZoneInfo("Europe/Berlin")).words
    assert there.endswith("since 2026-03-07 23:51 CET")


@pytest.mark.parametrize(
    ("states", "age", "busy"),
    [
        (["in_progress"], timedelta(minutes=5), True),
        (["queued"], timedelta(minutes=5), True),
        (["pending"], timedelta(0), True),
        (["in_progress"], STUCK, True),
        (["in_progress"], STUCK + timedelta(seconds=1), False),
        (["success", "in_progress"], timedelta(minutes=5), False),
        (["failure"], timedelta(minutes=5), False),
        (["inactive"], timedelta(minutes=5), False),
        (["something new"], timedelta(minutes=5), False),
        ([], timedelta(minutes=5), False),
    ],
)
def test_the_newest_deployment(states: list[str], age: timedelta, busy: bool) -> None:
    newest = Deployment(id=1, sha="1f0c9aa" * 5, created_at=NOW - DAY)
    statuses = [DeploymentStatus(state=state, created_at=NOW - age) for state in states]
    found = judge_deployment(newest, statuses, NOW)
    assert (found is not None and found.outcome == "busy") == busy
    assert judge_deployment(None, (), NOW) is None


FINE = Finding("workflow", "ok", "it is active")


@pytest.mark.parametrize(
    ("outcome", "gate", "short"),
    [
        ("ok", "pass", False),
        ("untold", "pass", False),
        ("unknown", "pass", True),
        ("weak", "pass", True),
        ("busy", "wait", False),
        ("problem", "refuse", True),
    ],
)
def test_what_a_finding_means(outcome: Outcome, gate: str, short: bool) -> None:
    """For a rollback that is due now, and for the time before one is."""
    found = Finding("runner", outcome, "the words", "the way out", NOW)
    readiness = Readiness((FINE, found))
    assert readiness.gate()[0] == gate
    assert "the words" in readiness.gate()[1]
    assert readiness.shortcomings(NOW) == ((found,) if short else ())
    if gate != "pass":
        assert readiness.gate()[1].endswith("the way out")


def test_while_something_is_under_way_no_other_way_is_taken() -> None:
    """A problem sends the rollback by another way: not into the middle of a deployment."""
    busy = Finding("deployment", "busy", "run 7 is in progress", since=NOW)
    assert Readiness((Finding("runner", "problem", "offline"), busy)).gate()[0] == "wait"


def test_what_has_been_under_way_for_long_is_a_shortcoming() -> None:
    busy = Finding("deployment", "busy", "x", since=NOW - STUCK)
    assert Readiness((busy,)).shortcomings(NOW) == ()
    assert Readiness((busy,)).shortcomings(NOW + timedelta(seconds=1)) == (busy,)
    assert Readiness((replace(busy, since=None),)).shortcomings(NOW + DAY) == ()
