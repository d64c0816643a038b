"""Without a fresh backup nothing is done that cannot be undone, unless somebody says so; how old it is, is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from recovery.backup.first import fresh_first
from recovery.backup.status import Tell
from recovery.deployments import gather
from recovery.rollback_target import Wanted
from recovery.run import Flags, Session
from recovery.run_rollback import Request, first_backup
from recovery.settings import RecoverySettings
from recovery.steps import Plan, Step
from recovery.terminal import Terminal
from target.engine import Engine
from target.settings import read_settings
from tests.parts.backup_kit import ENV, Place

NOW_THERE = "as it is\n"


@pytest.fixture
def session(place: Place) -> Iterator[Session]:
    settings = read_settings(RecoverySettings, place.env, None, strict=False)
    engine, terminal = Engine(settings.docker_host), Terminal(None)
    yield Session("cleanup", Flags(), settings, engine, terminal)
    engine.close()
    terminal.close()


@pytest.fixture
def none_can_be_made(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk of another machine nothing is written without a key."""
    place.verb("backup-create", "old")
    aged(place, hours=77)
    monkeypatch.setattr("recovery.backup.create_command.filesystem", lambda _: "nfs4")
    (place.project / ".env").write_text(NOW_THERE)


def aged(place: Place, hours: float) -> None:
    place.dated("old", datetime.now(UTC) - timedelta(hours=hours, minutes=5))


def rollback(session: Session, *, told: bool) -> str:
    request = Request(Wanted(), without_backup=told)
    return first_backup(session.settings, request, session.engine, session.terminal).refusal


def cleanup(session: Session, *, told: bool) -> str:
    plan = Plan("make room", (Step("remove", Tell(session.settings.backup_dir)),))
    return fresh_first(session, gather(session), "cleanup", plan, told=told).refusal


@pytest.mark.usefixtures("none_can_be_made")
def test_a_rollback_and_a_cleanup_need_a_fresh_one(place: Place, session: Session) -> None:
    for gate in (rollback, cleanup):
        aged(place, hours=77)
        words = gate(session, told=False)
        assert "must be encrypted" in words
        assert "the newest backup, old, is 3d5h5m old" in words
        assert "--without-backup goes on all the same" in words
        assert gate(session, told=True) == ""
        aged(place, hours=23)
        assert gate(session, told=False) == ""


@pytest.mark.usefixtures("none_can_be_made")
@pytest.mark.parametrize("hours", [77, 23])
def test_a_restore_needs_a_fresh_one(place: Place, hours: float) -> None:
    aged(place, hours)
    if hours == 77:
        refused = place.verb("backup-restore", "old", "--yes", code=1)["words"]
        assert "old, is 3d5h5m old; none has the sermons in it. --without-backup goes on" in refused
        assert (place.project / ".env").read_text() == NOW_THERE
    words = ("--without-backup",) if hours == 77 else ()
    done = place.verb("backup-restore", "old", "--yes", *words)
    assert "the newest backup, old, is " in str(done["plan"]["notes"])
    assert (place.project / ".env").read_text() == ENV


@pytest.mark.usefixtures("none_can_be_made")
def test_a_deployment_is_not_ready_without_one(place: Place) -> None:
    for hours, level in ((77, "problem"), (23, "warning")):
        aged(place, hours)
        found = place.verb("pre-deploy", code=1)["findings"]
        [said] = [one for one in found if one["what"] == "backup"]
        assert said["level"] == level
        assert "the newest backup, old, is" in said["words"]


def test_what_is_removed_needs_a_fresh_one(place: Place) -> None:
    for name in ("one", "two"):
        place.verb("backup-create", name, "--before-change")
        place.dated(name, datetime.now(UTC) - timedelta(days=9, minutes=1))
    refused = place.verb("backup-prune", "--yes", code=1)["words"]
    assert "is 9d1m old" in refused
    assert len(place.names()) == 2
    assert place.verb("backup-prune", "--yes", "--without-backup")["outcome"] == "done"
    assert len(place.names()) == 1
