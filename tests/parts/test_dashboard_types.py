"""The dashboards are Dashboards by Grafana's own types."""

from __future__ import annotations

from pathlib import Path

from monitoring.dashboards import BOARDS
from monitoring.dashboards.render import rendered
from tests.real import typescript


def test_the_compiler_accepts_every_board_and_no_broken_one(tmp_path: Path) -> None:
    boards = {board.uid: rendered(board) for board in BOARDS}
    host = boards["sermon-host"]
    boards["broken"] = host.replace('"graphTooltip": 1', '"graphTooltip": "crosshair"')
    assert boards["broken"] != host
    told = typescript.problems(boards, tmp_path)
    assert "broken.ts" in told
    assert "DashboardCursorSync" in told
    assert all(line.startswith(("broken.ts", " ")) for line in told.splitlines()), told
