"""What every command shares: how it ends with words, which settings are in force, and who types."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from sqlite3 import Connection
from typing import Any, NoReturn

import click

from receiver.store.database import StoreError
from sermon_monitor import logs, shown, store_file
from sermon_monitor.settings import Settings, SettingsError, load

LONGEST_NAME = 60


def fail(lines: Sequence[str], code: int = 1) -> NoReturn:
    """Say what is wrong, a line each, and end."""
    for line in lines:
        click.echo(f"sermon-monitor: {shown.line(line)}", err=True)
    sys.exit(code)


def settings_of(context: click.Context) -> Settings:
    """Read the settings, or end with one line a problem."""
    try:
        settings = load(context.obj)
    except SettingsError as error:
        fail(error.problems, 2)
    logs.set_up(settings.log_format, settings.log_level, logs.secrets_of(settings))
    return settings


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
