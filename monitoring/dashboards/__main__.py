"""Write monitoring/grafana/dashboards/*.json anew from the tables of panels."""

from __future__ import annotations

from pathlib import Path

from monitoring.dashboards import BOARDS
from monitoring.dashboards.render import rendered

FOLDER = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for board in BOARDS:
        path = FOLDER / f"{board.uid}.json"
        path.write_text(rendered(board), encoding="utf-8")
        print(path.relative_to(FOLDER.parents[2]))


main()
