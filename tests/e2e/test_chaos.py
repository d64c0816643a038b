"""A short ``make chaos``, always the same one: the whole takes an hour or more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AT_LEAST = 15


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_done_twice_whenever_it_is_killed() -> None:
    words = [
        "--seed",
        "41",
        "--worlds",
        "1",
        "--plots",
        "bad_deploy,warnings,stopped",
        "--at-once",
        "1",
    ]
    answer = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, f"{answer.stdout[-6000:]}\n{answer.stderr[-2000:]}"
    found = re.search(r"^all +(\d+)$", answer.stdout, re.M)
    assert found, answer.stdout
    assert int(found[1]) >= AT_LEAST, answer.stdout
    assert "every law held" in answer.stdout
