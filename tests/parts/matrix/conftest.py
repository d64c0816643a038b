"""The matrix' places: one a layout for a worker, each on the session's engine; and time made short."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import recovery.acts
import recovery.checks.network
import recovery.checks.storage
import recovery.run_rollback
from recovery.http import Reply
from target.compose import Compose, Project
from target.engine import Engine
from target.verify import Patience, healthy_now
from tests.conftest import Tell
from tests.parts.matrix.place import Layout, Place
from tests.real import images
from tests.real.engine import DockerEngine


class Pair(NamedTuple):
    """Two versions that are well; ``former`` ran first."""

    former: images.AppImage
    good: images.AppImage


@pytest.fixture(scope="session")
def pair(engine: DockerEngine, python_image: str, tell: Tell) -> Pair:
    tell("building the matrix' versions of the app")
    former, good = (
        images.app_image(engine, f"sermon-uploader:{name}", revision=digit * 40)
        for name, digit in (("former", "1"), ("good", "2"))
    )
    return Pair(former, good)


def made(engine: DockerEngine, layout: Layout, pair: Pair) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="sermon-matrix-") as folder:
        Path(folder).chmod(0o755)
        place = Place(engine, layout, Path(folder) / "disk", pair.good, pair.former)
        try:
            place.make()
            yield place
        finally:
            place.destroy()


@pytest.fixture(scope="module")
def apart(engine: DockerEngine, pair: Pair) -> Iterator[Place]:
    yield from made(engine, "apart", pair)


@pytest.fixture(scope="module")
def single(engine: DockerEngine, pair: Pair) -> Iterator[Place]:
    yield from made(engine, "single", pair)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits longer than it must, nothing asks the world, and only the place's own disk counts."""
    monkeypatch.setattr(recovery.acts, "STEADY_SECONDS", 0.2)
    monkeypatch.setattr(recovery.acts, "INTERVAL_SECONDS", 0.1)
    monkeypatch.setattr(recovery.acts, "UNHEALTHY_SHARE", 0.01)
    patience = partial(Patience, interval=0.2, stable=0.5, starting=10.0, unhealthy_share=0.01)
    monkeypatch.setattr(recovery.run_rollback, "Patience", patience)
    monkeypatch.setattr(recovery.run_rollback, "healthy_now", partial(healthy_now, probes=1))
    monkeypatch.setattr(recovery.checks.network, "ask_all", _all_reached)
    places = recovery.checks.storage._places
    monkeypatch.setattr(
        recovery.checks.storage,
        "_places",
        lambda *a: {
            name: path for name, path in places(*a).items() if name in ("project", "backups")
        },
    )
    monkeypatch.setattr(Engine, "stats", _stats_at_once)
    monkeypatch.setattr(Compose, "project", _understood_once)


@pytest.fixture(scope="module")
def versions(engine: DockerEngine, python_image: str) -> dict[str, images.AppImage]:
    return {
        name: images.app_image(
            engine, f"sermon-uploader:{name}", revision=f"{n}" * 40, behaviour=name
        )
        for n, name in enumerate(("crash", "unhealthy", "slow", "hungry"), 3)
    }


@pytest.fixture
def long_enough_to_crash(_short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that crashes answers for 2 seconds first."""
    monkeypatch.setattr(recovery.acts, "STEADY_SECONDS", 3.0)
    patience = partial(Patience, interval=0.2, stable=3.0, starting=10.0, unhealthy_share=0.01)
    monkeypatch.setattr(recovery.run_rollback, "Patience", patience)


def _all_reached(urls: dict[str, str], _seconds: float = 0) -> dict[str, Reply]:
    return {name: Reply(200, "HTTP 200", date=time.time()) for name in urls}


_project = Compose.project
_understood: dict[object, Project] = {}


def _understood_once(compose: Compose) -> Project:
    """The same bytes mean the same to docker compose, which takes half a second of a processor to say so."""
    key = (os.geteuid(), *((file, file.read_bytes()) for file in compose.files))
    if key not in _understood:
        _understood[key] = _project(compose)
    return _understood[key]


def _stats_at_once(engine: Engine, container_id: str) -> Any:
    """One look instead of two a second apart."""
    return engine._object("stats", f"/containers/{container_id}/stats?stream=false&one-shot=true")
