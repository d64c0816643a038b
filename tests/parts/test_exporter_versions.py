"""Versions on a real Engine: the image that runs, the way back, and an Engine that hangs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exporter.collectors import versions
from exporter.collectors.versions import LedgerView
from target.backups import newest_backup
from target.engine import Engine
from target.version_keeper import LedgerFile
from target.versions import Facts, Ledger, judge, known_good_reference, observe
from tests.conftest import AppImages
from tests.parts.exporter_app import App
from tests.parts.exporter_kit import Relay, Samples, success
from tests.real.engine import DockerEngine

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD_AFTER = timedelta(minutes=1)
TAG = "sermon_uploader_known_good_tag_present"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes of waiting, cut short."""
    monkeypatch.setattr(versions, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(versions, "ASK_SECONDS", 0.2)


def ledger_of(service: str, good: str, present: str) -> Ledger:
    """``good`` has proved itself and ``present`` runs."""
    ledger = observe(Ledger(), service, Facts("app:good", good, revision="abc"), NOW)
    for seconds in (0, 60):
        ledger = judge(ledger, service, True, NOW + timedelta(seconds=seconds), GOOD_AFTER)
    return observe(ledger, service, Facts("app:now", present), NOW + timedelta(minutes=5))


def labels_of(samples: Samples, name: str) -> list[tuple[str, ...]]:
    return [key[1:] for key in samples if key[0] == name]


@pytest.mark.engine
async def test_the_running_image_and_the_way_back(
    app: App,
    watching: Callable[..., Any],
    app_images: AppImages,
    tmp_path: Path,
    quick: None,
) -> None:
    v1 = app_images.v1
    client = Engine(app.engine.host)
    present = await asyncio.to_thread(client.image, app.image)
    LedgerFile(tmp_path / "state" / "versions.json").save(ledger_of(app.name, v1.id, present.id))
    await app.start("exec sleep 3600")
    try:
        async with watching() as running:
            samples = await running.until(
                lambda s: s.get((TAG, app.name)) == 0, "the tag's absence"
            )
            assert labels_of(samples, "sermon_uploader_known_good_info") == [
                ("", "app:good", "abc", app.name)
            ]
            assert samples["sermon_uploader_running_version_good", app.name] == 0
            samples = await running.until(
                lambda s: labels_of(s, "sermon_uploader_image_info"), "the running image"
            )
            ((digest, image, image_id, service),) = labels_of(samples, "sermon_uploader_image_info")
            assert (image, image_id, service) == (app.image, present.id, app.name)
            assert digest == (present.digests[0] if present.digests else "")
            assert success(samples, "versions") == 1

            reference = known_good_reference(app.name, v1.id)
            repository, _, tag = reference.rpartition(":")
            await asyncio.to_thread(client.tag, v1.id, repository, tag)
            await running.until(lambda s: s.get((TAG, app.name)) == 1, "the tag")
            await asyncio.to_thread(client.untag, reference)
            await running.until(lambda s: s.get((TAG, app.name)) == 0, "its removal")
    finally:
        client.close()


@pytest.mark.engine
async def test_an_engine_that_hangs_delays_no_scrape(
    app: App, watching: Callable[..., Any], engine: DockerEngine, tmp_path: Path, quick: None
) -> None:
    relay = Relay(tmp_path / "relay.sock", engine.host.removeprefix("unix://"))
    await relay.start()
    await app.start("exec sleep 3600")
    try:
        async with watching(relay.host) as running:
            await running.until(
                lambda s: labels_of(s, "sermon_uploader_image_info"), "the running image"
            )
            relay.flowing.clear()
            await running.until(
                lambda s: success(s, "versions") == 0, "that the Engine's silence is told"
            )
            # Each of these would have failed to be answered: a stuck reading is left out of a scrape.
            for _ in range(20):
                samples = await running.samples()
                assert ("sermon_uploader_deployments_total",) in samples
            relay.flowing.set()
            await running.until(lambda s: success(s, "versions") == 1, "its return")
    finally:
        relay.flowing.set()
        await relay.stop()


def test_a_ledger_is_read_again_only_when_its_file_has_changed(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "versions.json")
    view = LedgerView(file.path)
    assert view.read() == Ledger()
    made = ledger_of("app", "sha256:1", "sha256:2")
    file.save(made)
    first = view.read()
    assert first == made
    assert view.read() is first
    file.save(replace(made, forgotten=1))
    assert view.read().forgotten == 1
    file.path.unlink()
    assert view.read() == Ledger()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff" * 100, b'{"releases": 7}', b'{"schema": 0}', b"[]"]
)
def test_a_ledger_that_is_none(tmp_path: Path, content: bytes) -> None:
    view = LedgerView(tmp_path / "versions.json")
    (tmp_path / "versions.json").write_bytes(content)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"versions\.json"):
            view.read()
    LedgerFile(tmp_path / "versions.json").save(Ledger())
    assert view.read() == Ledger()


def test_a_ledger_of_a_newer_release_and_one_that_is_a_directory(tmp_path: Path) -> None:
    view = LedgerView(tmp_path / "versions.json")
    (tmp_path / "versions.json").write_bytes(b'{"schema": 99}')
    with pytest.raises(ValueError, match="newer release"):
        view.read()
    (tmp_path / "versions.json").unlink()
    (tmp_path / "versions.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        view.read()


def test_backups(tmp_path: Path) -> None:
    assert newest_backup(tmp_path / "none") is None
    assert newest_backup(tmp_path) is None
    (tmp_path / "file").write_text("x")
    assert newest_backup(tmp_path / "file") is None
    assert newest_backup(tmp_path) == (tmp_path / "file").stat().st_mtime
    (tmp_path / "later").write_text("by a wrong clock")
    os.utime(tmp_path / "later", (4e9, 4e9))
    assert newest_backup(tmp_path) == (tmp_path / "file").stat().st_mtime
    (tmp_path / "link").symlink_to("/nowhere")
    assert newest_backup(tmp_path) is not None
