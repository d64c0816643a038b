"""What ``status`` makes of what was seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from receiver.board.looking import Sight
from receiver.board.now import Kept, Listed, Seen, judge
from receiver.deciding.gates import Confirmation
from receiver.host_state import Disk
from receiver.records import AlertInstance, Incident, Message, Ring, Step, Window
from sermon_monitor.shown import status_lines
from target.versions import Ledger, Release

NOW = datetime(2026, 3, 7, 23, 0, tzinfo=UTC)
WELL, SICK = Confirmation(False, "HTTP 200"), Confirmation(True, "HTTP 500")
LOOK = Sight(
    WELL, WELL, containers=2, disks=[Disk("/", 10**11, 10**10 * 5)], backup=NOW - timedelta(hours=3)
)
GOOD = Seen(
    NOW, "", LOOK, Kept(last_beat=NOW - timedelta(seconds=40)), backup_limit=timedelta(days=8)
)
INCIDENT = Incident(3, "s", "open", "critical", NOW, NOW, None, 0, "", 0, None)
ALERT = AlertInstance(1, 3, "f", "ServiceDown", "critical", {}, {}, NOW, NOW, NOW, None, 0)


def seeing(**changes: Any) -> Seen:
    return replace(GOOD, sight=replace(LOOK, **changes))


def message(**changes: Any) -> Message:
    waiting = Message(7, 3, "card", "discord", Ring.SILENT, None, 2, 1, NOW, 0, "", 0, "", NOW)
    return replace(waiting, **changes)


def step(state: Any, action: str = "restart", words: str = "") -> Step:
    return Step(9, 3, action, "app", "A", state, "", NOW, words, None, None)


def part(told: dict[str, Any], what: str) -> dict[str, Any]:
    (found,) = [one for one in told["parts"] if one["what"] == what]
    return dict(found)


def test_all_is_well() -> None:
    told = judge(GOOD)
    assert told["healthy"]
    assert part(told, "monitoring")["words"] == "the Watchdog alert arrived 40s ago"
    assert part(told, "Docker")["words"] == "2 containers run"
    assert part(told, "backup")["words"] == "the newest is 3h old (2026-03-07 20:00 UTC)"
    assert {one["level"] for one in told["parts"]} == {"ok"}
    assert (told["incidents"], told["messages"]) == ([], [])


@pytest.mark.parametrize(
    ("seen", "what", "words"),
    [
        (replace(GOOD, receiver="nothing answers"), "service", "nothing answers"),
        (seeing(application=SICK), "application", "HTTP 500"),
        (seeing(minio=SICK), "MinIO", "HTTP 500"),
        (replace(GOOD, kept=Kept(blind=True)), "monitoring", "is blind"),
        (seeing(engine="no socket"), "Docker", "no socket"),
        (seeing(disks=[Disk("/", 10**11, 10**9)]), "disk", "/: 99 % used, 0.9 of 93.1 GiB free"),
        (seeing(disks=[Disk("/", 0, 0)]), "disk", "does not answer"),
        (seeing(backup=NOW - timedelta(days=9)), "backup", "the newest is 9d old"),
        (
            replace(GOOD, kept=Kept(last_beat=NOW - timedelta(minutes=6))),
            "monitoring",
            "arrived 6m ago",
        ),
        (
            replace(GOOD, kept=Kept(open=[Listed(INCIDENT, [ALERT], [])])),
            "incidents",
            "1 is open",
        ),
        (replace(GOOD, kept=Kept(messages=[message(error="401")])), "outbox", "could not be told"),
        (
            replace(GOOD, kept=Kept(messages=[message(due_at=NOW - timedelta(minutes=11))])),
            "outbox",
            "waited for long",
        ),
        (replace(GOOD, trouble="not a database"), "store", "not a database"),
    ],
)
def test_what_is_not_well(seen: Seen, what: str, words: str) -> None:
    told = judge(seen)
    assert not told["healthy"]
    assert part(told, what)["level"] == "problem"
    assert words in part(told, what)["words"]


def test_what_is_worth_knowing_is_no_trouble() -> None:
    window = Window(1, NOW, NOW + timedelta(hours=1), "updates", "person", 1)
    told = judge(replace(seeing(backup=None), kept=Kept(window=window, messages=[message()])))
    assert told["healthy"]
    assert part(told, "backup")["level"] == "note"
    unknown = judge(seeing(application=Confirmation(None, "has not answered yet")))
    assert (unknown["healthy"], part(unknown, "application")["level"]) == (True, "note")
    unseen = judge(seeing(backup=None, backup_trouble="/b: Permission denied"))
    assert "Permission denied" in part(unseen, "backup")["words"]
    assert part(told, "maintenance")["level"] == "note"
    assert part(told, "outbox")["words"] == "1 messages wait"
    assert part(told, "monitoring")["level"] == "note", "no Watchdog has come yet"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([step("running", words="restarting")], "restart under way: restarting"),
        ([step("pending", words="a gate")], "next: restart at 23:00:00 UTC (a gate)"),
        ([step("failed")], ""),
    ],
)
def test_what_comes_next(steps: list[Step], words: str) -> None:
    told = judge(replace(GOOD, kept=Kept(open=[Listed(INCIDENT, [ALERT], steps)])))
    (one,) = told["incidents"]
    assert (one["next"], one["firing"]) == (words, ["ServiceDown"])
    assert [s["id"] for s in one["failed"]] == (["s9"] if steps[0].state == "failed" else [])


def test_times_are_told_in_the_zone_of_the_settings() -> None:
    release = Release("app", "a:v1", "sha256:1", "", "v1", "", "", NOW, until=None)
    window = Window(1, NOW, NOW + timedelta(hours=1), "updates", "person", 1)
    listed = Listed(INCIDENT, [ALERT], [step("pending")])
    here = replace(
        seeing(ledger=Ledger((release,))),
        kept=Kept(open=[listed], window=window),
        zone=ZoneInfo("Europe/Berlin"),
    )
    told = judge(here)
    assert "(2026-03-07 21:00 CET)" in part(told, "backup")["words"]
    assert "since 2026-03-08 00:00 CET" in part(told, "version")["words"]
    assert "until 01:00 CET" in part(told, "maintenance")["words"]
    assert told["incidents"][0]["next"] == "next: restart at 00:00:00 CET"
    shown = "\n".join(status_lines(told, here.zone))
    assert "2026-03-08 00:00:00 CET" in shown
    assert "since 2026-03-08 00:00 CET: ServiceDown" in shown
    assert "UTC" not in shown


def test_what_could_not_be_told_has_its_id() -> None:
    given_up = message(error="401 Unauthorized", delivered=2)
    told = judge(replace(GOOD, kept=Kept(messages=[given_up])))
    (one,) = told["messages"]
    assert (one["id"], one["words"]) == (
        "m7",
        "the card of incident 3 was given up: 401 Unauthorized",
    )


def test_which_version_runs_and_the_way_back() -> None:
    old = Release("app", "a:v1", "sha256:1", "", "v1", "", "", NOW, until=NOW, verdict="good")
    new = replace(old, image="a:v2", image_id="sha256:2", tag="v2", until=None, verdict="unknown")
    told = judge(seeing(ledger=Ledger((old, new))))
    assert part(told, "version")["words"] == (
        "app: v2 since 2026-03-07 23:00 UTC, has not proved good yet; the way back is v1"
    )
    told = judge(seeing(ledger=Ledger((replace(old, until=None),))))
    assert part(told, "version")["words"].endswith("proved good; there is no way back yet")
