"""docs/better-than-the-original.md leaves no defect out, and what it names exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "better-than-the-original.md").read_text(encoding="utf-8")
DEFECTS = [
    f"{letter}{number}"
    for letter, count in {"P": 10, "R": 11, "A": 7, "N": 6, "H": 11, "T": 10, "W": 13}.items()
    for number in range(1, count + 1)
]
ROWS = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\| [A-Z]\d+ \|", line)
]


@cache
def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def names(path: str) -> frozenset[str]:
    """Of the tests in a file, of Python or of promtool."""
    if path.endswith(".py"):
        return frozenset(re.findall(r"^(?:async )?def (test_\w+)", text(path), re.MULTILINE))
    return frozenset(one["name"] for one in yaml.safe_load(text(path))["tests"])


def test_no_defect_is_left_out_and_none_is_there_twice() -> None:
    assert [row[0] for row in ROWS] == DEFECTS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_holds_it_exists(row: list[str]) -> None:
    _, defect, here, held = row
    assert defect
    assert here
    references = re.findall(r"`([^`]+)`", held)
    assert references, "nothing is named"
    for reference in references:
        path, name = re.split(r"::|: ", reference, maxsplit=1)
        assert (ROOT / path).is_file(), path
        assert name in names(path), reference
    assert re.sub(r"`[^`]+`|, ", "", held) == "", "only references, so that each is checked"
