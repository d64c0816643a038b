"""``python -m tests.bench``: run all, print a table, write JSON."""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from statistics import median

import structlog
from rich.console import Console
from rich.table import Table

from tests.bench import log_lines, webhooks


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console()
    rows: list[dict[str, object]] = []
    with console.status("measuring") as status:
        status.update("access log: parsing and counting lines")
        mine, least = log_lines.measure(arguments.rounds)
        speeds = [log_lines.LINES / cpu for cpu in mine], [log_lines.LINES / cpu for cpu in least]
        rows.append(_row("log lines a CPU second", "split and count only", *speeds))
        for alerts in (1, 100):
            status.update(f"webhooks of {alerts} alert(s)")
            rows.append(
                _row(
                    f"webhooks of {alerts} alert(s) a second, FULL",
                    "aiohttp + pydantic + one INSERT, FULL",
                    *webhooks.measure(alerts, arguments.rounds),
                )
            )
    table = Table("what", "ours", "floor", "the floor is", "ours / floor", box=None)
    for row in rows:
        table.add_row(
            *(
                f"{v:,.0f}"
                if k in ("ours", "floor")
                else f"{v:.2f}"
                if isinstance(v, float)
                else str(v)
                for k, v in row.items()
            )
        )
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _row(what: str, floor: str, mine: list[float], least: list[float]) -> dict[str, object]:
    """Medians; the ratio is the median of the pairs, because the machine's speed drifts."""
    ratio = median(a / b for a, b in zip(mine, least, strict=True))
    return {
        "what": what,
        "ours": median(mine),
        "floor": median(least),
        "the floor is": floor,
        "ratio": ratio,
    }


if __name__ == "__main__":
    main()
