"""What every command shares: how it ends with words, which settings are in force, and who types."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Any, NoReturn, TypeVar

import click

from receiver.hearing.sorting import Share
from receiver.store.database import StoreError
from sermon_monitor import logs, shown, store_file
from sermon_monitor.deployments import Deployment, deployments, named
from sermon_monitor.settings import Settings, SettingsError, load
from target.settings import SYSTEM_STATE

LONGEST_NAME = 60
Command = TypeVar("Command", bound=Callable[..., Any])
DEPLOYMENT = "sermon_monitor.deployment"


def fail(lines: Sequence[str], code: int = 1) -> NoReturn:
    """Say what is wrong, a line each, and end."""
    for line in lines:
        click.echo(f"sermon-monitor: {shown.line(line)}", err=True)
    sys.exit(code)


def settings_of(context: click.Context) -> Settings:
    """The settings of the deployment that is meant, or end with one line a problem."""
    return of_deployment(context)[0]


def of_deployment(context: click.Context) -> tuple[Settings, Share]:
    """The same, and what of all alerts is its own: by --deployment, where there are several."""
    try:
        settings, share = named(context.meta.get(DEPLOYMENT), context.obj)
    except SettingsError as error:
        fail(error.problems, 2)
    logs.set_up(settings.log_format, settings.log_level, logs.secrets_of(settings))
    return where_the_service_is(settings, SYSTEM_STATE), share


def where_the_service_is(settings: Settings, system: Path) -> Settings:
    """Whoever has no state of their own means the service's, in ``system``, and is told where they may not look there.

    Else a maintenance window would be written into a new store, and be read by nobody.
    """
    own = settings.state_dir
    if "state_dir" in settings.model_fields_set or own.exists() or not system.is_dir():
        return settings
    return settings.model_copy(update={"state_dir": system})


def settings_of_process(context: click.Context) -> Settings:
    """Those that are of no deployment where there are several, or end with one line a problem."""
    try:
        settings = load(context.obj)
    except SettingsError as error:
        fail(error.problems, 2)
    logs.set_up(settings.log_format, settings.log_level, logs.secrets_of(settings))
    return settings


def every_deployment(context: click.Context, settings: Settings) -> tuple[Deployment, ...]:
    """Those of DEPLOYMENTS_FILE, or end with one line a problem. None of their secrets is logged."""
    try:
        found = deployments(settings, context.obj)
    except SettingsError as error:
        fail(error.problems, 2)
    secrets = {text for one in (settings, *(d.settings for d in found)) for text in logs.secrets_of(one)}  # fmt: skip
    logs.set_up(settings.log_format, settings.log_level, sorted(secrets, key=len, reverse=True))
    return found


def person(name: str | None) -> str:
    """Who does it, for the audit trail: the name given, else the account, before sudo."""
    who = name or os.environ.get("SUDO_USER") or _account()
    return f"{shown.line(who.strip())[:LONGEST_NAME] or 'somebody'} (terminal)"


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an id without a name, as in some containers
        return f"user {os.getuid()}"


def found_in_store(
    settings: Settings, query: Callable[[Connection], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """What ``query`` finds; nothing where there is no store yet. Ends with one line where it cannot be read."""
    try:
        if store_file.exists(settings.store):
            with store_file.looking(settings.store) as connection:
                return query(connection)
    except StoreError as error:
        fail([str(error)])
    return []


def _remember(context: click.Context, _option: click.Parameter, name: str | None) -> None:
    context.meta[DEPLOYMENT] = name


def _which(*names: str) -> Callable[[Command], Command]:
    return click.option(
        *names,
        metavar="NAME",
        expose_value=False,
        callback=_remember,
        help="Which one, where there are several (DEPLOYMENTS_FILE).",
    )


deployment_option = _which("--deployment", "--at")
at_option = _which("--at")
"""Where --deployment means something else already."""
by_option = click.option(
    "--by", metavar="NAME", help="Who does it, for the audit trail (default: the account)."
)
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, 10000),
    default=20,
    show_default=True,
    help="How many, open ones first.",
)
