"""The real promtool on the exposition of containers, in both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.exporter_kit import new_findings
from tests.real.daemons import Binaries

GOLDEN = Path(__file__).resolve().parents[1] / "unit/golden"
_ALLOWED = """# HELP container_memory_failcnt Its name costs a finding, in version 1 only.
# TYPE container_memory_failcnt counter
container_memory_failcnt 1
"""


@pytest.mark.daemons
@pytest.mark.parametrize(("version", "more"), [("v1", ""), ("v2", _ALLOWED)])
async def test_names_are_good(binaries: Binaries, version: str, more: str) -> None:
    text = (GOLDEN / f"containers_{version}.txt").read_text() + more
    assert await new_findings(binaries, text) == []
