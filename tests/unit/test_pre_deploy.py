"""pre-deploy: what stands in the way of a deployment is found, and what does not is none of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recovery.checks import deploy
from recovery.finding import Finding
from recovery.http import Reply
from recovery.looking import Check, run_checks
from recovery.run import Flags, Session
from recovery.settings import RecoverySettings
from recovery.terminal import Terminal
from target.compose import Compose
from target.compose_file import pin
from target.deploy import LOCK_NAME
from target.engine import Engine
from target.lock import exclusive
from tests.unit.recovery_kit import backend, facts, minio

TEXT = "services:\n  backend:\n    image: sermon-uploader:v2\n"
Way = Callable[[pytest.MonkeyPatch, Path], None]


def pinned(_: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text(pin(TEXT, "backend", "sermon-uploader:v1"))


def no_room(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=1, f_frsize=2**30))


def no_registry(patch: pytest.MonkeyPatch, _: Path) -> None:
    reply = Reply(None, "its name cannot be resolved")
    patch.setattr("recovery.checks.network.ask_all", lambda urls: dict.fromkeys(urls, reply))


def looked(check: Check, file: Path, **changes: Any) -> list[Finding]:
    session = Session("pre-deploy", Flags(), RecoverySettings(backup_dir=file.parent), Engine("unix:///nowhere.sock"), Terminal())  # fmt: skip
    session.engine.info = lambda: {"DockerRootDir": "/"}  # type: ignore[method-assign]
    found = facts(minio(), backend(), compose=Compose((file,), ""), **changes)
    return run_checks(session, found, [check])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compose file of a machine where nothing is in the way."""
    file = tmp_path / "docker-compose.yml"
    file.write_text(TEXT)
    reply = Reply(401, "HTTP 401")
    monkeypatch.setattr("recovery.checks.network.ask_all", lambda urls: dict.fromkeys(urls, reply))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=9, f_frsize=2**30))
    return file


@pytest.mark.parametrize(
    ("check", "way", "what"),
    [
        (deploy.no_pin_in_the_way, pinned, "pin"),
        (deploy.room_for_an_image, no_room, "room"),
        (deploy.registry_reached, no_registry, "registry"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_thing_in_the_way_is_found(
    check: Check, way: Way, what: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [f for f in looked(check, file) if f.level == "problem"]
    way(monkeypatch, file)
    assert [f.what for f in looked(check, file) if f.level == "problem"] == [what]


def test_whoever_is_at_work_is_in_the_way(file: Path) -> None:
    assert looked(deploy.nobody_else_at_work, file) == []
    with exclusive(file.parent / LOCK_NAME, "pid 1 since noon"):
        (found,) = looked(deploy.nobody_else_at_work, file)
    assert (found.level, "pid 1 since noon" in found.words) == ("problem", True)
