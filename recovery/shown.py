"""What is printed on stdout: findings for a person, each with the command that mends it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from recovery.finding import Finding, Level
from recovery.inputs import printable

STYLES: dict[Level, str] = {
    "problem": "bold red",
    "warning": "yellow",
    "note": "cyan",
    "ok": "green",
}
MOST_WELL = 8
NARROW_COLUMNS = 60
NAME_COLUMNS = 36
"""Docker's own name for the container of one service has 33; on a small screen it is folded, and never cut."""
PIPE_COLUMNS = 4000
"""Into a file or a pipe no line is cut."""


def show_findings(findings: Sequence[Finding], verdict: str, *, verbose: bool) -> None:
    """The worst first, as they come; then the verdict. Much that is well is one line, unless ``verbose``."""
    well = [finding for finding in findings if finding.level == "ok"]
    if len(well) > MOST_WELL and not verbose:
        names = ", ".join(dict.fromkeys(finding.what for finding in well))
        one = Finding("ok", f"{len(well)} more", f"{names} (--verbose says how)")
        findings = [*(finding for finding in findings if finding.level != "ok"), one]
    console = stdout()
    console.print(
        _narrow(findings) if console.width < NARROW_COLUMNS else _table(findings, console.width)
    )
    console.print(Text(verdict, "bold"))


def _narrow(findings: Sequence[Finding]) -> Group:
    """One below the other, for a telephone at night."""
    rows: list[Text | Padding] = []
    for finding in findings:
        rows.append(Text(f"{finding.level}: {printable(finding.what)}", STYLES[finding.level]))
        rows.append(Padding(Text(printable(finding.words, 2000)), (0, 0, 0, 2)))
        if finding.mend:
            rows.append(Padding(Text(f"→ {printable(finding.mend, 2000)}", "bold"), (0, 0, 0, 2)))
    return Group(*rows)


def _table(findings: Sequence[Finding], width: int) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(max_width=min(NAME_COLUMNS, width // 3), overflow="fold")
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(
            Text(finding.level, STYLES[finding.level]),
            Text(printable(finding.what)),
            Text(printable(finding.words, 2000)),
        )
        if finding.mend:
            table.add_row("", "", Text(f"→ {printable(finding.mend, 2000)}", "bold"))
    return table


def stdout() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    return console
