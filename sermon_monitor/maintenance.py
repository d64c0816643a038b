"""``sermon-monitor maintenance``: windows in which nothing is done by itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from receiver.board.plain import maintenance
from receiver.deciding.policy import PolicyError, load_policy
from receiver.equipment import policy_path
from receiver.maintenance.calendar import LONGEST, LONGEST_REASON, Calendar, occurrences, problem_of
from receiver.records import WindowOrigin
from receiver.store import messages, windows
from receiver.store.database import StoreError
from receiver.store.postgres.server import Server
from sermon_monitor import shown, store_file
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import (
    at_option,
    by_option,
    deployment_option,
    fail,
    person,
    settings_of,
)
from target.durations import format_duration, parse_duration

DEPLOYMENT = timedelta(minutes=10)
"""How long a deployment is waited for unless it is said."""
LONGEST_DEPLOYMENT = timedelta(hours=1)
AHEAD = timedelta(days=7)
"""How far ahead recurring windows are listed."""


class RefusedError(Exception):
    """A window that may not be opened, in words."""


@dataclass(frozen=True)
class Wanted:
    """A window to be opened now."""

    length: timedelta
    reason: str
    who: str
    silence: bool = False
    deployment: bool = False

    @property
    def origin(self) -> WindowOrigin:
        return "deployment" if self.deployment else "person"


def start(path: Path | Server, wanted: Wanted) -> datetime:
    """Open it; when it ends. Raises RefusedError or StoreError."""
    longest = LONGEST_DEPLOYMENT if wanted.deployment else LONGEST
    if problem := problem_of(wanted.length, wanted.reason, longest):
        raise RefusedError(problem)
    now, reason = datetime.now(UTC), wanted.reason.strip()[:LONGEST_REASON]
    until = now + wanted.length
    with store_file.writing(path) as c:
        windows.open_window(
            c, now, until, reason, wanted.origin, now, who=wanted.who, silence=wanted.silence
        )
        words = f"for {format_duration(wanted.length)}: {reason}"
        if wanted.silence:
            words = f"{words} (Alertmanager is silent too)"
        messages.add_event(c, None, "maintenance asked for", words, now, who=wanted.who)
    return until


def stop(path: Path | Server, who: str) -> int:
    """End what is open; how many windows that were. Raises StoreError."""
    if not store_file.exists(path):
        return 0
    now = datetime.now(UTC)
    with store_file.writing(path) as c:
        ended = windows.end_windows(c, now)
        if ended:
            words = f"{ended} window{'s' if ended > 1 else ''} ended before time"
            messages.add_event(c, None, "maintenance ended", words, now, who=who)
    return ended


def listed(path: Path | Server) -> list[dict[str, Any]]:
    """The newest first, each with whether it is ``active``. Raises StoreError."""
    if not store_file.exists(path):
        return []
    with store_file.looking(path) as c:
        return maintenance(c, datetime.now(UTC))


def coming(calendar: Calendar) -> list[dict[str, Any]]:
    """The recurring windows of the next days, in order."""
    now = datetime.now(UTC)
    return [asdict(one) for one in occurrences(calendar, now, AHEAD) if one.starts_at > now]


@click.group("maintenance")
def maintenance_group() -> None:
    """Windows in which nothing is done by itself. What fires is shown all the same.

    Example: sermon-monitor maintenance start 30m --reason "updates of the Pi"
    """


@maintenance_group.command("start")
@click.argument("length", metavar="[DURATION]", required=False)
@click.option("--reason", required=True, help="Why; whoever sees an alert meanwhile reads it.")
@click.option("--silence", is_flag=True, help="Silence Alertmanager too, for others that it tells.")
@click.option(
    "--deployment",
    is_flag=True,
    help="A new version is about to come: ends with its grace, or after DURATION (10m).",
)
@by_option
@at_option
@click.pass_context
def maintenance_start(
    context: click.Context,
    length: str | None,
    reason: str,
    silence: bool,
    deployment: bool,
    by: str | None,
) -> None:
    """Open a window now. It ends by itself.

    Example: sermon-monitor maintenance start 30m --reason "updates of the Pi"
    """
    if length is None and not deployment:
        raise click.UsageError("how long? for instance: maintenance start 30m --reason TEXT")
    try:
        duration = parse_duration(length) if length else DEPLOYMENT
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    settings = settings_of(context)
    if silence and settings.alertmanager_url is None:
        raise click.UsageError("--silence: ALERTMANAGER_URL is not set, so nothing can be silenced")
    try:
        until = start(settings.store, Wanted(duration, reason, person(by), silence, deployment))
    except RefusedError as error:
        raise click.UsageError(str(error)) from error
    except StoreError as error:
        fail([str(error)])
    click.echo(f"maintenance until {_local(until, settings)}: nothing is done by itself until then")


@maintenance_group.command("stop")
@by_option
@deployment_option
@click.pass_context
def maintenance_stop(context: click.Context, by: str | None) -> None:
    """End what is open now, and call off what was to come by hand.

    Example: sermon-monitor maintenance stop
    """
    try:
        ended = stop(settings_of(context).store, person(by))
    except StoreError as error:
        fail([str(error)])
    click.echo("maintenance is over: alerts are acted on again" if ended else "no window was open")


@maintenance_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the windows as JSON.")
@deployment_option
@click.pass_context
def maintenance_list(context: click.Context, as_json: bool) -> None:
    """List windows, the newest first, and the recurring ones of the next 7 days.

    Example: sermon-monitor maintenance list --json
    """
    settings = settings_of(context)
    try:
        found = listed(settings.store)
        ahead = coming(Calendar(load_policy(policy_path(settings)).maintenance, settings.zone))
    except StoreError as error:
        fail([str(error)])
    except PolicyError as error:
        fail(error.problems, 2)
    shown.windows(found, ahead, settings.zone, as_json=as_json)


def _local(moment: datetime, settings: Settings) -> str:
    return f"{moment.astimezone(settings.zone):%H:%M} {settings.timezone}"
