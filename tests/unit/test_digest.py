"""What the digest says: on record in golden/, short on a quiet day, acceptable whatever happened.

``UPDATE_GOLDEN=1 pytest tests/unit/test_digest.py`` writes the golden files anew; read them as a diff.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from receiver.digest.figures import Figures
from receiver.digest.message import Contents, as_text, compose
from receiver.notifiers.discord import render_note
from receiver.records import Incident, Window
from receiver.store.digests import Happened
from receiver.telling.note import Note
from target.versions import Release
from tests.standins.discord_form import check_message
from tests.standins.discord_problems import Problems

GOLDEN = Path(__file__).parent / "golden"
UNTIL = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=1)
FIGURES = Figures(
    uptime=0.9987, watched=0.97, requests=1234.4, errors=7.2, uploads=3, failed_uploads=1,
    p95_seconds=0.412, backup_age_seconds=90000, backup_data_age_seconds=7200, backup_bytes=5e9, drill_success=1, drill_age_seconds=900000, disk_used=0.734, disk_mount="/opt/minio-data",
)  # fmt: skip
NOTHING = Happened({}, 0, (), (), (), (), ())
OPEN = Incident(12, "sermon-uploader", "open", "critical", SINCE + timedelta(hours=3), None, None, 0, "", 0, None)  # fmt: skip
RELEASE = Release("sermon-uploader-backend", "app", "sha256:1", "", "master-1f0c9aa", "1f0c9aa", "1.1.0", SINCE + timedelta(hours=5), verdict="good")  # fmt: skip
WINDOW = Window(1, SINCE + timedelta(hours=1), SINCE + timedelta(hours=2), "updates of *the* Pi", "person", 2)  # fmt: skip
BUSY = Happened(
    opened={"critical": 1, "warning": 2},
    resolved=2,
    open=(OPEN,),
    alerts=(("ServiceDown", "critical", 1), ("HighMemoryUsage", "warning", 3), ("Deployed", "info", 1)),
    steps=(("restart", "done", 2), ("rollback", "failed", 1), ("person", "done", 1)),
    held=(("rollback", "switched on: AUTO_ROLLBACK_ENABLED is false", 1), ("restart", "no maintenance: maintenance until 10:00 UTC", 4)),
    windows=(WINDOW,),
)  # fmt: skip
CASES = {
    "quiet": Contents(SINCE, UNTIL, NOTHING, FIGURES),
    "busy": Contents(SINCE, UNTIL, BUSY, FIGURES, (RELEASE,)),
    "blind": Contents(SINCE, UNTIL, NOTHING, Figures(problem="PROMETHEUS_URL is not set")),
}


@pytest.mark.parametrize("case", CASES)
def test_the_body_is_the_one_on_record(case: str) -> None:
    body = render_note(compose(CASES[case]), mention="")
    file = GOLDEN / f"digest_{case}.json"
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def acceptable(note: Note) -> None:
    problems = Problems()
    check_message(render_note(note, mention=""), problems)
    assert not problems.found


def test_a_quiet_day_is_short_and_says_so() -> None:
    note = compose(CASES["quiet"])
    assert note.title == "🟢 Daily digest: all is well"
    assert "Nothing happened that needed anybody." in note.text
    assert [field.name for field in note.fields] == ["How it ran", "Disk and backup"]
    assert note.severity is None


def test_missing_figures_are_said_in_words() -> None:
    (ran,) = compose(CASES["blind"]).fields
    assert ran.value == "No figures: PROMETHEUS\\_URL is not set"
    empty = compose(Contents(SINCE, UNTIL, NOTHING, Figures()))
    assert "Prometheus has none of this time" in empty.fields[0].value
    assert empty.fields[1].value == "No backup has been seen"


def test_no_traffic_is_no_error_rate_and_nearly_all_is_not_all() -> None:
    still = compose(
        Contents(SINCE, UNTIL, NOTHING, Figures(uptime=0.999999, requests=0.0, errors=0.0))
    )
    assert "0 requests" in still.fields[0].value.splitlines()
    assert "99.99 %" in still.fields[0].value


def test_whatever_happened_discord_accepts_it() -> None:
    hostile = "@everyone <@1> ```[x](https://y)" + "😀" * 3000
    many = Happened(
        opened={"critical": 10**6},
        resolved=10**6,
        open=tuple(OPEN for _ in range(100)),
        alerts=tuple((hostile, "critical", 9) for _ in range(40)),
        steps=tuple((f"a{n}", "failed", 1) for n in range(40)),
        held=tuple(("rollback", hostile, 2) for _ in range(40)),
        windows=(Window(1, SINCE, UNTIL, hostile, "person", 2),) * 50,
    )
    note = compose(Contents(SINCE, UNTIL, many, FIGURES, (RELEASE,) * 500))
    acceptable(note)
    body = json.dumps(render_note(note, mention=""), ensure_ascii=False)
    assert "@everyone" not in body
    assert "and 4" in body or "more" in body
    acceptable(
        compose(Contents(SINCE, UNTIL, many, Figures(problem=hostile), ledger_problem=hostile))
    )


def test_a_terminal_sees_times_and_no_escapes() -> None:
    text = as_text(compose(CASES["busy"]), ZoneInfo("Europe/Berlin"))
    assert "2026-03-01 09:00 to 2026-03-02 09:00." in text
    assert "updates of *the* Pi" in text
    assert "<t:" not in text
    assert "\\" not in text
