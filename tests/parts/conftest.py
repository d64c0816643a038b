"""What tests of more than one file here share."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.parts import receiver_kit
from tests.parts.backup_kit import Place, clear
from tests.parts.exporter_app import App
from tests.parts.exporter_kit import exporter
from tests.parts.stores import Stores, new_database
from tests.real.engine import DockerEngine
from tests.real.storage import Storage


@pytest.fixture
async def app(engine: DockerEngine, python_image: str) -> AsyncIterator[App]:
    app = App(engine, python_image)
    yield app
    with contextlib.suppress(AssertionError):  # already gone
        await app.remove()


@pytest.fixture
def watching(engine: DockerEngine, app: App, tmp_path: Path) -> Callable[..., Any]:
    """An exporter that watches only this test's containers."""

    def start(host: str = engine.host, **settings: str) -> Any:
        watched = {"APP_CONTAINERS": f"{app.name}.*", "APP_SERVICE": app.name}
        return exporter(tmp_path, host, **watched, **settings)

    return start


_ON_BOTH = (
    "test_store_messages.py",
    "test_store_steps.py",
    "test_intake.py",
    "test_store_retention.py",
)
"""Tried on both stores each time; all others' turn on PostgreSQL is one of the long tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        given = getattr(getattr(item, "callspec", None), "params", {})
        if given.get("stores") == "postgres" and item.path.name not in _ON_BOTH:
            item.add_marker("long")


@pytest.fixture(scope="session", autouse=True)
def _where_receivers_have_their_store(request: pytest.FixtureRequest) -> None:
    """``--store postgres``: each STATE_DIR has a database of its own."""
    if request.config.getoption("--store") == "postgres":
        server = request.getfixturevalue("postgres_server")
        receiver_kit.places.append(functools.cache(lambda _directory: new_database(server)))


@pytest.fixture(params=["file", "postgres"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    """What holds of one holds of the other."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    made = Stores(tmp_path, server)
    yield made
    made.close()


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    made = Storage(tmp_path_factory.mktemp("storage"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def place(storage: Storage, tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path / "place", storage.url)
    clear(storage.client)
