"""logs --follow: what is written meanwhile arrives, over the container's end and anew; Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.parts.deployment.kit import COMMAND, Env, run
from tests.real.processes import fetch, wait_for
from tests.real.project import APP, Project

pytestmark = pytest.mark.engine


class Following:
    """The program at work, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], stdout: Path, stderr: Path) -> None:
        self.process, self._stdout, self._stderr = process, stdout, stderr

    @property
    def lines(self) -> list[str]:
        return self._stdout.read_text().splitlines()

    @property
    def said(self) -> str:
        return self._stderr.read_text()

    def count(self, words: str) -> int:
        return sum(words in line for line in self.lines)

    def ended(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def following(env: Env, folder: Path, *words: str) -> Iterator[Following]:
    out, err = folder / "stdout", folder / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [str(COMMAND), "logs", "--follow", *words],
            env={"PATH": os.environ["PATH"], **env},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    try:
        yield Following(process, out, err)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def asked(running: Project, around: Env, tmp_path: Path) -> Iterator[Following]:
    """It follows the application, and one request was made before it began."""
    fetch(running.app_url + "/before")
    with following(around, tmp_path, APP) as found:
        wait_for(lambda: found.count("/before"), "the log so far")
        yield found


def test_what_is_written_meanwhile_arrives_also_from_a_container_made_anew(
    asked: Following, running: Project
) -> None:
    fetch(running.app_url + "/first")
    wait_for(lambda: asked.count("/first"), "the first line")
    running.compose("rm", "--stop", "--force", "app")
    wait_for(lambda: "waiting for it" in asked.said, "that it is gone")
    running.up()
    fetch(running.app_url + "/second")
    wait_for(lambda: asked.count("/second"), "the line of the container made anew")
    assert [asked.count(f"/{word}") for word in ("before", "first", "second")] == [1, 1, 1]
    assert asked.count("Server starting on port") == 2
    assert asked.ended(signal.SIGINT) == 0
    assert asked.said.count("waiting for it") == 1, asked.said
    assert "Traceback" not in asked.said


def test_a_reader_that_leaves_ends_it_without_a_word(
    running: Project, around: Env, tmp_path: Path
) -> None:
    """As ``logs --follow | head``."""
    with subprocess.Popen(
        [str(COMMAND), "logs", "--follow", "--tail", "1", APP],
        env={"PATH": os.environ["PATH"], **around},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()

        def ended() -> bool:
            fetch(running.app_url + "/more")
            return process.poll() is not None

        wait_for(ended, "its end")
        assert process.stderr.read() == b""


def test_json_has_an_end_and_following_has_none() -> None:
    done = run(("logs", "--follow", "--json"), {})
    assert done.returncode == 2
    assert "--follow has no end" in done.stderr
