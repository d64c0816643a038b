"""What ``check`` says of the machine, from a /proc of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from sermon_monitor.checking.machine import machine
from sermon_monitor.settings import Settings

STAT = "cpu  1 0 1 10 0 0 0 0 0 0\ncpu0 1 0 1 10 0 0 0 0 0 0\nbtime 1700000000\n"


def proc(directory: Path, available_kib: int, swap_free_kib: int = 1000) -> Settings:
    (directory / "meminfo").write_text(
        "MemTotal: 4000000 kB\nMemFree: 100 kB\nBuffers: 0 kB\nCached: 0 kB\n"
        f"MemAvailable: {available_kib} kB\nActive: 0 kB\nInactive: 0 kB\nShmem: 0 kB\nSlab: 0 kB\n"
        f"SwapTotal: 1000 kB\nSwapFree: {swap_free_kib} kB\n"
    )
    (directory / "stat").write_text(STAT)
    (directory / "vmstat").write_text("pswpin 0\npswpout 0\n")
    return Settings.model_validate({"PROC_ROOT": directory, "STATE_DIR": directory})


@pytest.mark.parametrize(
    ("available", "swap_free", "level", "words"),
    [
        (2_000_000, 1000, "ok", "1.9 of 3.8 GiB memory available"),
        (200_000, 1000, "note", "0.2 of 3.8 GiB"),
        (2_000_000, 10, "note", "swap is nearly full"),
    ],
)
def test_the_machine(
    tmp_path: Path, available: int, swap_free: int, level: str, words: str
) -> None:
    (found,) = machine(proc(tmp_path, available, swap_free))
    assert (found.level, found.what) == (level, "machine")
    assert words in found.words


def test_without_proc(tmp_path: Path) -> None:
    settings = Settings.model_validate({"PROC_ROOT": tmp_path / "gone", "STATE_DIR": tmp_path})
    (found,) = machine(settings)
    assert found.level == "problem"
    assert "PROC_ROOT" in found.mend
