"""logs: what the deployment's containers wrote, and what it amounts to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click
from rich.text import Text

from recovery.deployments import Facts, gather
from recovery.inputs import printable
from recovery.log_analysis import Analysis, Seen, analyse, is_error, seen
from recovery.options import looks
from recovery.run import Flags, Session, refuse, session_of
from recovery.shown import stdout
from target.durations import format_duration, parse_duration
from target.engine import Container, EngineError
from target.engine_tail import recent_lines
from target.times import parse_rfc3339

DEFAULT_LINES = 100
MOST_LINES = 100_000
ALL_WITH_SINCE = 10_000


@dataclass(frozen=True)
class Asked:
    """What was asked for, and when; ``since`` is a unix time, 0 for all."""

    tail: int
    since: float
    follow: bool
    errors: bool
    containers: tuple[str, ...]
    began: datetime


def _since(_: click.Context, __: click.Parameter, value: str | None) -> float:
    """``15m`` before now, or an RFC 3339 time."""
    if not value:
        return 0.0
    try:
        return (datetime.now(UTC) - parse_duration(value)).timestamp()
    except ValueError:
        pass
    try:
        return parse_rfc3339(value).timestamp()
    except ValueError:
        allowed = "a duration such as 15m or 2h, or a time like 2026-03-01T10:00:00Z"
        raise click.BadParameter(f"{printable(value, 80)!r}: allowed: {allowed}") from None


@click.command("logs", epilog="Example: sermon-recovery logs --since 15m --errors")
@click.option(
    "--tail",
    type=click.IntRange(1, MOST_LINES),
    metavar="N",
    help=f"The last N lines of each container; {DEFAULT_LINES}, with --since {ALL_WITH_SINCE}.",
)
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--since",
    callback=_since,
    metavar="TIME",
    help="Not older than 15m, 2h, or 2026-03-01T10:00:00Z.",
)
@click.option(
    "--errors",
    is_flag=True,
    help="Only lines that mean trouble, then the analysis: by kind, slowest.",
)
@click.argument("container", nargs=-1)
@looks
def logs(
    flags: Flags,
    tail: int | None,
    follow: bool,
    since: float,
    errors: bool,
    container: tuple[str, ...],
) -> None:
    """Show the logs of the deployment's containers, or of CONTAINER, in the order of their times.

    Below them stands what they amount to: errors counted by kind, and the slowest requests.
    """
    lines = tail or (ALL_WITH_SINCE if since else DEFAULT_LINES)
    if follow and flags.as_json:
        raise click.UsageError("--follow has no end, and --json is one object at the end")
    asked = Asked(lines, since, follow, errors, container, datetime.now(UTC))
    with session_of("logs", flags, log=False) as session:
        try:
            _logs(session, asked)
        except EngineError as error:
            refuse("logs", str(error), as_json=flags.as_json)
        except KeyboardInterrupt:  # how --follow ends
            pass


def _logs(session: Session, asked: Asked) -> None:
    facts = gather(session)
    if facts.engine_problem:
        raise EngineError(f"{facts.engine_problem}. First: {facts.engine_mend}")
    chosen = chosen_of(facts, asked.containers)
    read = sorted(
        (line for container in chosen for line in _read(session, container, asked)),
        key=lambda line: line.moment,
    )
    analysis = analyse(read)
    wanted = [line for line in read if is_error(line) or not asked.errors]
    if session.flags.as_json:
        click.echo(json.dumps(_as_json(wanted, analysis)))
        return
    for line in wanted:
        _print(line)
    if asked.follow:
        _go_on(session, chosen, asked, read)
    else:
        _print_analysis(analysis, asked)


def chosen_of(facts: Facts, names: Sequence[str]) -> list[Container]:
    """All, or those of these names. Raises EngineError where there is none, or none of one of the names."""
    there = facts.containers
    known = {name for c in there for name in (c.name, c.service)}
    unknown = [printable(name, 80) for name in names if name not in known]
    if unknown or not there:
        what = (
            f"no container of the deployment is {' or '.join(unknown)}"
            if unknown
            else "no container of the deployment is here"
        )
        raise EngineError(f"{what}; there is: {', '.join(c.name for c in there) or 'none'}")
    return [c for c in there if not names or {c.name, c.service} & set(names)]


def _read(session: Session, container: Container, asked: Asked) -> list[Seen]:
    session.terminal.detail(f"reading the log of {container.name}")
    lines = recent_lines(session.engine, container, asked.tail, asked.since)
    return [seen(container.name, line) for line in lines]


def _go_on(
    session: Session, containers: Sequence[Container], asked: Asked, read: Sequence[Seen]
) -> None:
    """Follow each container from its last line that was read."""
    from recovery.following import Followed, follow  # noqa: PLC0415 - aiohttp is half of what the toolkit's start costs

    last = {line.container: line.moment for line in read}
    follow(
        session.engine.host,
        [Followed(c, last.get(c.name, asked.began)) for c in containers],
        session.engine.container,
        lambda line: _print(line) if is_error(line) or not asked.errors else None,
        session.terminal.say,
    )


def _print(line: Seen) -> None:
    style = "red" if is_error(line) else ""
    moment = f"{line.moment:%Y-%m-%d %H:%M:%S}"
    text = Text(f"{moment} {line.container} {printable(line.text, 4000)}", style)
    stdout().print(text, soft_wrap=True)


def _print_analysis(analysis: Analysis, asked: Asked) -> None:
    console = stdout()
    span = format_duration(timedelta(seconds=round(analysis.seconds)))
    console.print(
        Text(
            f"\n{_counted(analysis.lines, 'line')} over {span}; {_counted(analysis.requests, 'request')}",
            "bold",
        )
    )
    if not analysis.errors:
        console.print(Text("no errors", "green"))
    for error in analysis.errors:
        last = f"last {error.last:%H:%M:%S}"
        console.print(
            Text(f"{error.count:6} × {error.kind} ({last}): {printable(error.example, 160)}")
        )
    if analysis.slowest:
        console.print(Text("slowest requests (uploads last as long as their sender takes)", "bold"))
    for slow in analysis.slowest:
        request = f"{slow.method} {printable(slow.path, 100)}"
        console.print(
            Text(f"{slow.seconds:8.3f} s  {slow.status}  {request}  {slow.moment:%H:%M:%S}")
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _as_json(lines: Sequence[Seen], analysis: Analysis) -> dict[str, object]:
    return {
        "verb": "logs",
        "lines": [
            {
                "time": line.moment.isoformat(),
                "container": line.container,
                "stream": "stderr" if line.stream == 2 else "stdout",
                "text": line.text,
                "error": is_error(line),
            }
            for line in lines
        ],
        "analysis": analysis.as_json(),
    }
