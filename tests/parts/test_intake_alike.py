"""A body is decided at once, and as if each of its alerts had come alone."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from receiver.store.database import connect, migrate
from tests.parts.intake_kit import Story, alert, body_of

LABELS = st.fixed_dictionaries(
    {"service": st.sampled_from(["sermon-uploader", "choir"])},
    optional={
        "cause": st.sampled_from(["app", "blind"]),
        "host": st.sampled_from(["elsewhere"]),
        "n": st.sampled_from(["1", "2", "3"]),
    },
)
NAMES = st.sampled_from(
    ["ServiceDown", "HighErrorRate", "DeploymentDetected", "Watchdog", "Unknown"]
)
ALERTS = st.lists(
    st.tuples(NAMES, st.sampled_from(["critical", "warning", "info"]), LABELS), max_size=12
)


def _of_many(words: str) -> tuple[str, int]:
    found = re.fullmatch(r"(.*?)(?: \((\d+) alerts\))?", words, re.DOTALL)
    assert found is not None
    return found[1], int(found[2] or 1)


def told(c: sqlite3.Connection) -> list[Any]:
    """What is in the store, but for when and how often a card was touched."""
    lines: Counter[tuple[Any, ...]] = Counter()
    for row in c.execute("SELECT incident_id, kind, words FROM events"):
        words, times = _of_many(row["words"])
        lines[row["incident_id"], row["kind"], words] += times
    return [
        lines,
        *(
            [tuple(row) for row in c.execute(query)]
            for query in (
                "SELECT service, state, severity, digest, ladder_at, reopened FROM incidents ORDER BY id",
                "SELECT incident_id, fingerprint, name, severity, labels, annotations, starts_at, ended_at, repeats FROM alerts ORDER BY id",
                "SELECT incident_id, action, target, alert, due_at, state FROM steps ORDER BY id",
                "SELECT DISTINCT incident_id, kind, ping FROM messages ORDER BY incident_id, kind",
                "SELECT name FROM heartbeats",
            )
        ),
    ]


def _story() -> Story:
    connection = connect(Path(":memory:"))
    migrate(connection)
    return Story(connection)


@given(ALERTS, ALERTS)
def test_a_body_is_decided_as_if_its_alerts_had_come_one_by_one(
    firing: list[tuple[str, str, dict[str, str]]], ended: list[tuple[str, str, dict[str, str]]]
) -> None:
    bodies = [
        [alert(name, "firing", severity, **labels) for name, severity, labels in firing],
        [alert(name, "firing", severity, **labels) for name, severity, labels in ended[::2]]
        + [alert(name, "resolved", severity, **labels) for name, severity, labels in ended],
    ]
    together, alone = _story(), _story()
    with closing(together.c), closing(alone.c):
        for body in bodies:
            kinds = together.take(body_of(*body))
            assert kinds == [kind for one in body for kind in alone.take(body_of(one))]
            assert told(together.c) == told(alone.c)


def test_what_was_decided_of_many_is_one_line_that_says_of_how_many() -> None:
    story = _story()
    with closing(story.c):
        story.take(body_of(*(alert("Unknown", "firing", "warning", n=str(n)) for n in range(100))))
        lines = story.c.execute("SELECT kind, words FROM events ORDER BY id").fetchall()
        assert [tuple(line) for line in lines] == [
            ("open", "Unknown opens an incident"),
            ("join", "Unknown joins the open incident of its service (99 alerts)"),
        ]
        assert len(story.alerts) == 100
