"""A backup is whole or not there, its owner's alone, and every damage to it is found."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from recovery.backup.create import CheckBackup, CreateBackup
from recovery.backup.create_command import plan_backup
from recovery.backup.files import Source
from recovery.backup.manifest import as_sealed, read_manifest
from recovery.backup.verify import problems
from recovery.deployments import Facts
from recovery.steps import Hands, StepError
from target.engine import Engine
from tests.unit.recovery_kit import SETTINGS, facts


@pytest.fixture
def hands() -> Hands:
    return Hands(SETTINGS, Engine("unix:///nowhere.sock"), None, lambda _: None)


@pytest.fixture
def made(tmp_path: Path, hands: Hands) -> Path:
    source = tmp_path / "compose.yml"
    source.write_text("services: {}\n")
    source.chmod(0o664)
    folder = tmp_path / "backups" / "one"
    CreateBackup(folder, "p", (Source(source, "project/compose.yml", 13),), "[]").do(hands)
    return folder


def test_a_backup_is_its_owners_alone_and_knows_what_it_holds(made: Path) -> None:
    assert {stat.S_IMODE(p.stat().st_mode) for p in made.rglob("*") if p.is_file()} == {0o600}
    folders = [made, *(p for p in made.rglob("*") if p.is_dir())]
    assert {stat.S_IMODE(p.stat().st_mode) for p in folders} == {0o700}
    manifest = read_manifest(made)
    assert [(f.name, f.mode, f.bytes) for f in manifest.files] == [
        ("project/compose.yml", 0o664, 13),
        ("images.json", 0o600, 2),
    ]
    assert problems(made) == []
    assert [p.name for p in made.parent.iterdir()] == ["one"]


@pytest.mark.parametrize("damage", ["changed", "missing", "elsewhere"])
def test_damage_is_found(made: Path, damage: str, hands: Hands) -> None:
    file = made / "project/compose.yml"
    if damage == "changed":
        file.write_text("services: {x: }\n")
    elif damage == "missing":
        file.unlink()
    else:
        manifest = read_manifest(made)
        outside = manifest.files[0].model_copy(update={"name": "../../compose.yml"})
        changed = manifest.model_copy(update={"files": (outside,)})
        (made / "manifest.json").write_text(as_sealed(changed, None))
    assert len(problems(made)) == 1
    with pytest.raises(StepError):
        CheckBackup(made).do(hands)


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b'{"files": 1}'])
def test_what_is_no_backup_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(StepError):
        problems(tmp_path)


def test_a_failure_leaves_nothing_behind(tmp_path: Path, hands: Hands) -> None:
    gone = CreateBackup(tmp_path / "b" / "one", "p", (Source(tmp_path / "none", "none", 1),), "[]")
    with pytest.raises(FileNotFoundError):
        gone.do(hands)
    assert list((tmp_path / "b").iterdir()) == []


def located(folder: Path) -> Facts:
    return facts(settings=SETTINGS.model_copy(update={"backup_dir": folder}))


def test_a_name_that_is_taken_and_a_full_disk_refuse(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("/nowhere")
    files = (Source(Path("/x"), "project/x", 2000),)
    for name in ("here", "link"):
        assert "there already" in plan_backup(located(tmp_path), name, files, [], "", 1e9).refusal
    full = plan_backup(located(tmp_path), "new", files, [], "", 1000).refusal
    assert "2 KiB are needed and 1000 B may be taken" in full
    ledger = (Source(Path("/x"), "versions.json", 1),)
    assert "no compose file" in plan_backup(located(tmp_path), "new", ledger, [], "", 1e9).refusal
    assert not os.path.lexists(tmp_path / "new")
