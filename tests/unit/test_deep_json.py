"""JSON that is nested deeper than Python reads it is said to be none, as any other that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from recovery.backup.drill import _looked_at
from recovery.backup.files import LEDGER
from recovery.backup.index import parsed
from recovery.backup.manifest import Kept
from recovery.backup.sealing import DamagedError
from recovery.checks.discord import _name
from recovery.steps import StepError
from target.engine_http import Answer, UnreachableError

DEEP = b"[" * 100_000


def test_an_index_of_a_backup() -> None:
    with pytest.raises(DamagedError, match="no list of objects"):
        list(parsed([DEEP, b"\n"]))


def test_a_restored_file(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(DEEP)
    kept = Kept(name=LEDGER, source="", mode=0o600, bytes=len(DEEP), sha256="")
    with pytest.raises(StepError, match="is of no use"):
        _looked_at(kept, tmp_path)


def test_what_answers_there() -> None:
    assert _name(DEEP) == ""
    with pytest.raises(UnreachableError):
        Answer(200, DEEP).json()
    assert Answer(500, DEEP).words()
