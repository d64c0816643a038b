"""The Engine's short answers, as it writes them and as something hostile might."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target.engine import EngineError, parse_container
from target.engine_reader import Listed, parse_listed, up_at_most

ROW: dict[str, Any] = {
    "Id": "f00d",
    "Names": ["/sermon-uploader-backend", "/linker/alias"],
    "Image": "app:v1",
    "State": "running",
    "Status": "Up 2 hours (healthy)",
}
INSPECTED: dict[str, Any] = {
    "Id": "f00d",
    "Name": "/sermon-uploader-backend",
    "Image": "sha256:1",
    "Created": "2026-03-01T10:00:00.123456789Z",
    "RestartCount": 2,
    "State": {
        "Status": "running",
        "Pid": 42,
        "StartedAt": "2026-03-01T10:00:01Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "healthy"},
    },
    "Config": {"Image": "app:v1", "Labels": {"a": "b"}},
    "HostConfig": {"RestartPolicy": {"Name": "always"}},
}
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC).timestamp()


def test_a_list() -> None:
    rows = [ROW, {**ROW, "State": "exited", "Status": "Exited (137) 3 days ago", "SizeRw": 4096}]
    names = ("sermon-uploader-backend", "linker/alias")
    assert parse_listed(rows) == [
        Listed("f00d", names, "running", "healthy", 3 * 3600.0),
        Listed("f00d", names, "exited", None, None, 4096),
    ]


@pytest.mark.parametrize(
    ("words", "health"),
    [
        ("Up 5 seconds (health: starting)", "starting"),
        ("Up 2 minutes (unhealthy)", "unhealthy"),
        ("Up 2 minutes (Paused)", None),
        ("Up 2 minutes", None),
        ("", None),
    ],
)
def test_health_in_a_list(words: str, health: str | None) -> None:
    assert parse_listed([{**ROW, "Status": words}])[0].health == health


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Up Less than a second", 2),
        ("Up 1 second", 2),
        ("Up 59 seconds (healthy)", 60),
        ("Up About a minute", 120),
        ("Up 59 minutes", 3600),
        ("Up About an hour (Paused)", 7200),
        ("Up 47 hours", 48 * 3600),
        ("Up 13 days", 14 * 86400),
        ("Up 8 weeks", 9 * 7 * 86400),
        ("Up 23 months", 24 * 31 * 86400),
        ("Up 3 years", 4 * 366 * 86400),
        ("Exited (0) 3 days ago", None),
        ("Restarting (1) 2 seconds ago", None),
        ("Created", None),
        ("Up and away", None),
    ],
)
def test_how_long_it_has_run(words: str, seconds: float | None) -> None:
    assert up_at_most(words) == seconds


@pytest.mark.parametrize(
    "rows",
    [
        None,
        {"message": "no"},
        [None],
        [{}],
        [{**ROW, "Id": 5}],
        [{**ROW, "State": None}],
        [{**ROW, "Names": 5}],
        [{**ROW, "SizeRw": "many"}],
        [{**ROW, "SizeRw": float("inf")}],
    ],
)
def test_what_is_no_list_is_refused(rows: object) -> None:
    with pytest.raises(EngineError):
        parse_listed(rows)


@pytest.mark.parametrize(
    ("changes", "agrees"),
    [
        ({}, True),
        ({"State": "paused", "Status": "Up 2 hours (Paused)"}, False),
        ({"Names": ["/renamed"]}, False),
        ({"Status": "Up 2 hours (unhealthy)"}, False),
        ({"Status": "Up 2 hours"}, False),
        ({"Status": "Up 10 minutes (healthy)"}, False),  # started again meanwhile
        ({"Status": "Up 2 days (healthy)"}, True),  # the Engine's clock was set: nothing to see
    ],
)
def test_whether_an_inspection_is_still_true(changes: dict[str, Any], agrees: bool) -> None:
    listed = parse_listed([{**ROW, **changes}])[0]
    assert listed.agrees(parse_container(INSPECTED), NOW) is agrees


def test_a_stopped_containers_last_health_is_not_compared() -> None:
    stopped = replace(parse_container(INSPECTED), state="exited")
    listed = parse_listed([{**ROW, "State": "exited", "Status": "Exited (0) 1 second ago"}])[0]
    assert listed.agrees(stopped, NOW)


def test_an_inspection() -> None:
    container = parse_container(INSPECTED)
    assert (container.name, container.health, container.pid) == (
        "sermon-uploader-backend",
        "healthy",
        42,
    )
    assert container.started_at == container.created_at.replace(microsecond=0) + timedelta(
        seconds=1
    )
    assert container.finished_at is None


@pytest.mark.parametrize(
    "changes",
    [
        {"Id": None},
        {"Name": 7},
        {"State": None},
        {"State": {"Status": []}},
        {"State": {"Status": "running", "Pid": "many"}},
        {"State": {"Status": "running", "Pid": float("inf")}},
        {"State": {"Status": "running", "Health": "good"}},
        {"State": {"Status": "running", "StartedAt": 5}},
        {"Config": []},
        {"Config": {"Image": None}},
        {"Config": {"Image": "a", "Labels": ["x"]}},
        {"Created": 3},
    ],
)
def test_what_is_no_inspection_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(EngineError):
        parse_container({**INSPECTED, **changes})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(ROW)), _JSON))
def test_any_row_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        (listed,) = parse_listed(json.loads(json.dumps([{**ROW, **changes}])))
    except EngineError:
        return
    listed.agrees(parse_container(INSPECTED), NOW)


@given(st.dictionaries(st.sampled_from(sorted(INSPECTED)), _JSON))
def test_any_inspection_is_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        container = parse_container({**INSPECTED, **changes})
    except EngineError:
        return
    assert isinstance(container.name, str)
    assert isinstance(container.pid, int)
