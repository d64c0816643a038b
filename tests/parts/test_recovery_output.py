"""What the toolkit says, where it is hard to say it: JSON of every verb that fails, odd paths, outputs that are full."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

import recovery.checks.network
import recovery.shown
import recovery.versions
from recovery.cli import main
from recovery.finding import Finding
from recovery.http import Reply
from recovery.run import INTERRUPTED
from recovery.shown import show_findings
from recovery.verbs import VERBS, Verb
from target.version_keeper import LedgerFile
from tests.parts.deployment.kit import COMMAND, proved
from tests.parts.exporter_kit import NOWHERE
from tests.real.images import AppImage

NO_UTF8 = os.fsdecode(b"/nowhere/\xff\xfe")


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine without Docker, without a project, and with odd names; the outside is not asked."""

    def reached(urls: dict[str, str], _seconds: float = 0) -> dict[str, Reply]:
        return {name: Reply(200, "HTTP 200", date=time.time()) for name in urls}

    monkeypatch.setattr(recovery.checks.network, "ask_all", reached)
    return {
        "PATH": os.environ["PATH"],
        "DOCKER_HOST": f"unix://{tmp_path}/no.sock",
        "COMPOSE_PROJECT_DIR": NO_UTF8,
        "STATE_DIR": str(tmp_path / "state"),
        "BACKUP_DIR": "/proc/nowhere",
        "LOG_DIR": "/dev/null/log",
        "APP_URL": NOWHERE,
        "MINIO_URL": NOWHERE,
    }


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_json_is_one_object_also_where_nothing_works(verb: Verb, nothing: dict[str, str]) -> None:
    words = [verb.name, "--json", *(["--yes"] if verb.changes else [])]
    done = CliRunner(env={**dict.fromkeys(os.environ), **nothing}).invoke(main, words)
    assert isinstance(done.exception, SystemExit | None), done.exception
    said = json.loads(done.stdout)
    if verb.name == "versions":
        assert (done.exit_code, said) == (0, [])
    elif verb.name == "rollback":
        assert (done.exit_code, said["outcome"]) == (1, "refused")
    else:
        assert said["verb"] == verb.name
        assert said["words"]
        assert done.exit_code in (0, 1)


@pytest.mark.parametrize("words", [("health-check",), ("versions", "--json")])
def test_an_output_on_a_full_disk_is_said_in_words(
    words: tuple[str, ...], nothing: dict[str, str]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, *words], env=nothing, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "not all could be written: the output: No space left on device"  # fmt: skip
    assert "Traceback" not in done.stderr


def test_a_terminal_that_knows_only_ascii_gets_all_the_words(nothing: dict[str, str]) -> None:
    done = subprocess.run(
        [COMMAND, "backup-create"],
        env={**nothing, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no compose file could be saved" in done.stderr


def test_on_a_telephone_one_finding_stands_below_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), width=40)
    monkeypatch.setattr(recovery.shown, "stdout", lambda: console)
    name = "DISCORD_WEBHOOK_URL is not set: nobody is told"
    found = [Finding("warning", "Discord", name, f"set {name[:19]}"), Finding("ok", "disk", "room")]
    show_findings(found, "healthy: 1 warning", verbose=False)
    assert isinstance(console.file, io.StringIO)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "warning: Discord",
        "  DISCORD_WEBHOOK_URL is not set: nobody",
        "  is told",
        "  → set DISCORD_WEBHOOK_URL",
        "ok: disk",
        "  room",
        "healthy: 1 warning",
    ]


def test_of_a_long_name_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker's own for the container of one service; and two that differ in their ends alone."""
    console = Console(file=io.StringIO(), width=110)
    monkeypatch.setattr(recovery.shown, "stdout", lambda: console)
    names = ["sermon-uploader-sermon-uploader-1", "x" * 60 + "1", "x" * 60 + "2"]
    show_findings([Finding("problem", name, "gone") for name in names], "bad", verbose=False)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert names[0] in shown
    assert (shown.count("x1"), shown.count("x2"), shown.count("x")) == (1, 1, 120)


@pytest.mark.parametrize(
    ("verb", "place"),
    [("quick-fix", "recovery.quickfix.gather"), ("rollback", "recovery.run_rollback._plan")],
)
def test_ctrl_c_before_a_change_says_that_there_was_none(
    verb: str, place: str, nothing: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    done = CliRunner(env=nothing).invoke(main, [verb, "--yes", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["words"]) == (1, INTERRUPTED)
    assert INTERRUPTED in done.stderr


def test_ctrl_c_while_it_is_read_in_ends_it_without_a_word() -> None:
    code = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "recovery.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from recovery.start import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


def test_on_a_telephone_a_version_is_a_sentence(
    nothing: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = AppImage("sermon-uploader:v1", "a1" * 20, "sha256:" + "1" * 64)
    LedgerFile(tmp_path / "state" / "versions.json").save(proved(image))
    monkeypatch.setattr(recovery.versions, "stdout", lambda: Console(width=40))
    done = CliRunner(env=nothing).invoke(main, ["versions"])
    assert " ".join(done.stdout.split()) == "app v1 (a1a1a1a), good: since 2026-03-01 10:00, runs"
