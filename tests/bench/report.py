"""A figure, the table of them, and the JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """Ours beside a peer or a floor, measured in turn; ``ratio`` is that of ours to the other."""

    what: str
    unit: str
    ours: float
    other: float | None
    the_other: str
    ratio: float | None
    at_most: float | None = None
    """What the ratio, or ours where there is no other, should not pass; None where nothing was set."""


def paired(
    what: str,
    unit: str,
    ours: Sequence[float],
    other: Sequence[float],
    the_other: str,
    at_most: float | None = None,
) -> Figure:
    """Medians; the ratio is the median of the pairs, because the machine's speed drifts."""
    ratio = median(a / b for a, b in zip(ours, other, strict=True))
    return Figure(what, unit, median(ours), median(other), the_other, ratio, at_most)


def alone(what: str, unit: str, ours: float, at_most: float | None = None) -> Figure:
    """A figure that is a size or a share by itself."""
    return Figure(what, unit, ours, None, "", None, at_most)


def table(figures: Sequence[Figure]) -> Table:
    made = Table("what", box=None)
    for title in ("ours", "other", "ratio", "at most", "unit"):
        made.add_column(title, justify="left" if title == "unit" else "right")
    made.add_column("the other is")
    for one in figures:
        numbers = (one.ours, one.other, one.ratio, one.at_most)
        made.add_row(one.what, *map(shown, numbers), one.unit, one.the_other)
    return made


def shown(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(figures: Sequence[Figure]) -> str:
    """The same table for docs/performance.md."""
    rows = [
        "| what | ours | other | ratio | at most | unit | the other is |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for one in figures:
        numbers = map(shown, (one.ours, one.other, one.ratio, one.at_most))
        rows.append(f"| {one.what} | {' | '.join(numbers)} | {one.unit} | {one.the_other} |")
    return "\n".join(rows) + "\n"


def write(figures: Sequence[Figure], path: Path) -> None:
    """As JSON, with what kind of machine it was; and beside it as Markdown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"machine": _machine(), "figures": [asdict(one) for one in figures]}
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(figures), encoding="utf-8")


def show(figures: Sequence[Figure], console: Console) -> None:
    if figures:
        console.print(table(figures))


def _machine() -> dict[str, object]:
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    return {
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "cgroup": "v2" if unified else "v1",
        "python": platform.python_version(),
    }
