"""What a person sees during a change: it is held from no signal's way, and ends no change itself."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from recovery.terminal import HELD, Terminal, uninterrupted


@pytest.mark.parametrize("number", HELD)
def test_a_signal_waits_until_the_change_is_done(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    done = False
    with uninterrupted(Terminal()):
        os.kill(os.getpid(), number)
        done = True
    assert done
    assert signal.getsignal(number) is before
    assert f"{number.name} came meanwhile" in capsys.readouterr().err


def test_a_hang_up_is_held() -> None:
    assert signal.SIGHUP in HELD


def test_a_full_disk_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    with io.TextIOWrapper(io.FileIO(os.open(full, os.O_WRONLY), "w"), write_through=True) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        terminal = Terminal()
        with terminal.working("rolling back") as progress:
            progress("a step")
        terminal.say("words")
        terminal.close()
        stream.flush()


def test_a_full_disk_under_the_log_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "recovery.log").symlink_to("/dev/full")
    terminal = Terminal(tmp_path)
    terminal.say("words")
    terminal.close()
