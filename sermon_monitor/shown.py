"""What the command line prints: tables for people, JSON for programs.

rich is loaded when something is printed with it: the server never does, and is 3 MiB smaller without.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import click

from receiver.audit import OURSELVES
from sermon_monitor.finding import Finding
from target.durations import format_duration
from target.times import local

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_LINE = 400
PIPE_COLUMNS = 2 * LONGEST_LINE
"""Wide enough for every row of a table, whose words are LONGEST_LINE at most."""
_MARK = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "problem": "[red]problem[/]"}
_GATE = {
    "pass": "[green]pass[/]",
    "wait": "[yellow]wait[/]",
    "refuse": "[red]refuse[/]",
    "drop": "[dim]drop[/]",
}


@contextlib.contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[None]:
    """A spinner on standard error while something may take longer than two seconds."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def findings(found: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in found:
        table.add_row(_MARK[finding.level], finding.what, _safe(finding.words))
        if finding.mend:
            table.add_row("", "", f"[dim]→ {_safe(finding.mend)}[/]")
    _console().print(table)


def explanation(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    console = _console()
    console.print(
        f"[bold]{_safe(told['alert'])}[/] ({told['status']}): {told['decision']}: {_safe(told['reason'])}"
    )
    if row := told["row"]:
        mention = ", mention" if row["mention"] else ""
        console.print(
            f"  severity {row['severity']}, category {row['category']}, Discord {row['discord']}{mention}, confirmed by {row['confirm']}"
        )
    for step in told["begun"]:
        target = f" {step['target']}" if step["action"] == "restart" else ""
        words = f": {_safe(step['words'])}" if step["words"] else ""
        console.print(f"  [bold]{step['action']}{target}[/] is {step['state']} already{words}")
    if not told["steps"] and not told["begun"]:
        console.print("  no steps")
    for step in told["steps"]:
        name = " ".join(
            filter(None, (step["action"], step["target"] if step["action"] == "restart" else ""))
        )
        console.print(
            f"  [bold]{name}[/] at {format_duration(timedelta(seconds=step['after']))}: {_GATE[step['verdict']['outcome']]} {_safe(step['verdict']['reason'])}"
        )
        for gate in step["gates"]:
            console.print(
                f"    {_GATE[gate['outcome']]:<14} {gate['gate']}: {_safe(gate['reason'])}"
            )


def incidents(found: Sequence[dict[str, Any]], zone: tzinfo, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"incidents": found}, indent=2, default=written))
        return
    console = _console()
    if not found:
        console.print("no incidents")
    for incident in found:
        state = "[red]open[/]" if incident["state"] == "open" else "[green]over[/]"
        console.print(
            f"{state} incident {incident['id']}: {_safe(incident['service'])}, {incident['severity']}, since {local(incident['opened_at'], zone, '%Y-%m-%d %H:%M:%S')}"
        )
        for alert in incident["alerts"]:
            standing = "fires" if alert["firing"] else "ended"
            repeats = f" ({alert['repeats']} repeats)" if alert["repeats"] else ""
            summary = _safe(alert["annotations"].get("summary", ""))
            console.print(
                f"  {standing} {_safe(alert['name'])}{repeats}{': ' if summary else ''}{summary}"
            )
        for step in incident["steps"]:
            target = f" {step['target']}" if step["action"] == "restart" else ""
            when = (
                f" at {local(step['due_at'], zone, '%H:%M:%S')}"
                if step["state"] == "pending"
                else ""
            )
            console.print(
                f"  s{step['id']} {step['action']}{target}: {step['state']}{when} {_safe(step['words'])}"
            )
        for one in incident["evidence"]:
            console.print(
                f"  evidence of {local(one['made_at'], zone, '%H:%M:%S')}: {_safe(one['summary'])} (sermon-monitor evidence {incident['id']})"
            )
        for event in incident["events"]:
            if event["kind"] == "note":
                console.print(f"  note of {_safe(event['who'])}: {_safe(event['words'])}")
        if incident["verdict"]:
            console.print(f"  {_safe(incident['verdict'])}")


def windows(
    found: Sequence[dict[str, Any]],
    coming: Sequence[dict[str, Any]],
    zone: tzinfo,
    *,
    as_json: bool,
) -> None:
    if as_json:
        told = {"maintenance": found, "coming": coming}
        click.echo(json.dumps(told, indent=2, default=written))
        return
    console = _console()
    if not found and not coming:
        console.print("no maintenance windows")
    for window in reversed(coming):
        console.print(f"[dim]comes[/] {_span(window, zone)} (recurring): {_safe(window['reason'])}")
    for window in found:
        state = "[yellow]open[/]" if window["active"] else "[dim]shut[/]"
        by = f", by {_safe(window['who'])}" if window["who"] else ""
        silence = ", Alertmanager silent" if window["silence"] else ""
        console.print(
            f"{state} {_span(window, zone)} ({window['origin']}{by}{silence}): {_safe(window['reason'])}"
        )


def _span(window: dict[str, Any], zone: tzinfo) -> str:
    begin, end = window["starts_at"].astimezone(zone), window["ends_at"].astimezone(zone)
    return f"{begin:%a %Y-%m-%d %H:%M} to {end:%H:%M} {end:%Z}"


def status(now: dict[str, Any], zone: tzinfo, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(now, indent=2, default=written))
        return
    console = _console()
    for shown in status_lines(now, zone):
        console.print(shown)


def status_lines(now: dict[str, Any], zone: tzinfo) -> Iterator[str]:
    """The board's first page in rich's markup."""
    healthy = "[green]healthy[/]" if now["healthy"] else "[red]not healthy[/]"
    yield f"{healthy}, Sermon Monitor {now['version']}, {local(now['at'], zone, '%Y-%m-%d %H:%M:%S')}"
    for part in now["parts"]:
        yield f"  {_MARK[part['level']]} {part['what']}: {_safe(part['words'])}"
    for one in now["incidents"]:
        fires = ", ".join(one["firing"]) or "no alert fires any more"
        yield (
            f"  incident {one['id']} ({one['severity']}) since {local(one['since'], zone)}: {_safe(fires)}"
        )
        for words in filter(None, (one["next"], one["verdict"])):
            yield f"    {_safe(words)}"
        for step in one["failed"]:
            yield f"    {step['id']} {step['action']}: {step['state']}: {_safe(step['words'])}"
    for one in now["messages"]:
        yield f"  {one['id']}: {_safe(one['words'])}"


def watch(look: Callable[[], dict[str, Any]], every: float, zone: tzinfo, *, as_json: bool) -> bool:
    """Show each look until Ctrl-C: in place on a terminal, one below the other elsewhere. The last one's health."""
    healthy = False
    with contextlib.suppress(KeyboardInterrupt), _in_place(zone, as_json=as_json) as show:
        while True:
            now = look()
            healthy = bool(now["healthy"])
            show(now)
            time.sleep(every)
    return healthy


@contextlib.contextmanager
def _in_place(zone: tzinfo, *, as_json: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """How a look is shown: as a line of JSON, on the whole screen, or below the last one."""
    console = _console()
    if as_json:
        yield lambda now: click.echo(json.dumps(now, default=written))
    elif not console.is_terminal:
        yield lambda now: status(now, zone, as_json=False)
    else:
        from rich.live import Live
        from rich.text import Text

        with Live(Text("looking …"), console=console, screen=True) as live:
            yield lambda now: live.update(
                Text.from_markup("\n".join(status_lines(now, zone)), emoji=False), refresh=True
            )


_APPROVAL = {
    "asked": "[yellow]asked[/]",
    "granted": "[green]granted[/]",
    "denied": "[red]denied[/]",
}


def approvals(found: Sequence[dict[str, Any]], zone: tzinfo, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"approvals": found}, indent=2, default=written))
        return
    console = _console()
    if not found:
        console.print("nothing waits for an approval, and nothing ever did")
    for one in found:
        by = f" by {_safe(one['who'])}" if one["who"] else ""
        until = f", until {local(one['expires_at'], zone)}" if one["state"] == "asked" else ""
        console.print(
            f"{_APPROVAL.get(one['state'], one['state'])}{by} [bold]approval {one['id']}[/]"
            f" (incident {one['incident_id']}): {_safe(one['title'])}{until}"
        )
        if one["open"]:
            console.print(f"  why: {_safe(one['why'])}")
            console.print(f"  what it does: {_safe(one['blast'])}")
        elif one["words"]:
            console.print(f"  {_safe(one['words'])}")


def audit(found: Sequence[dict[str, Any]], zone: tzinfo) -> None:
    console = _console()
    if not found:
        console.print("nothing is on record")
    for one in found:
        about = f"incident {one['incident_id']}" if one["incident_id"] else "–"
        by = "" if one["who"] == OURSELVES else f" by {_safe(one['who'])}"
        console.print(
            f"[dim]{local(one['at'], zone, '%Y-%m-%d %H:%M:%S')}[/] {about:<12} [bold]{_safe(one['kind'])}[/]"
            f"{by}: {_safe(one['words'])}"
        )


def line(text: str) -> str:
    """One line without control characters: labels come from outside and must not drive the terminal."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= LONGEST_LINE else shown[: LONGEST_LINE - 1] + "…"


def written(value: object) -> str:
    """What JSON has no form for."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _safe(text: str) -> str:
    """As ``line``, in a place where rich reads its markup."""
    from rich.markup import escape

    return escape(line(text))


def _console() -> Console:
    """``emoji``: a colon in an image's name is a colon. A pipe has no width: only a terminal's lines are broken."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(emoji=False)
    return Console(emoji=False, soft_wrap=True, width=PIPE_COLUMNS)
