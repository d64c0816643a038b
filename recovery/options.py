"""The options that verbs share."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from recovery.run import Flags, words_of
from recovery.terminal import Patient

Function = Callable[..., Any]
_NAMES = ("dry_run", "yes", "as_json", "verbose", "config")
LEADING = ("--dry-run", "--yes", "--force", "--verbose", "--json")
"""May also stand before the verb, as the guide's toolkit had them."""


def config_option(command: Function) -> Function:
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SERMON_MONITOR_CONFIG",
        help="File of KEY=VALUE settings; the environment wins.",
    )(command)


def looks(command: Function) -> Function:
    """For a verb that changes nothing. What could make no difference to it is taken all the same."""
    return _with(
        command,
        _flag("--json", "as_json", help="One JSON object on stdout."),
        _flag("--dry-run", "dry_run", hidden=True),
        _flag("--yes", "--force", "yes", hidden=True),
    )


def changes(command: Function) -> Function:
    """For a verb that changes something."""
    return _with(
        command,
        _flag("--dry-run", "dry_run", help="Print the plan and change nothing."),
        _flag("--yes", "--force", "yes", help="Do not ask."),
        _flag("--json", "as_json", help="One JSON object on stdout at the end."),
    )


def _with(command: Function, *options: Callable[[Function], Function]) -> Function:
    """The options, handed to ``command`` as one value."""

    @wraps(command)
    def call(**given: Any) -> Any:
        return command(Flags(**{name: given.pop(name) for name in _NAMES}), **given)

    verbose = _flag("--verbose", "verbose", help="Also say what is asked and read.")
    found: Function = call
    for option in (config_option, verbose, *reversed(options)):
        found = option(found)
    return found


def _flag(*names: str, help: str = "", hidden: bool = False) -> Callable[[Function], Function]:
    return click.option(*names, is_flag=True, help=help, hidden=hidden)


class Verbs(click.Group):
    """A group whose LEADING options may stand before the verb: ``--dry-run emergency-stop``."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """The last resort for an answer that cannot be written, as to a file on a full disk: words, and exit code 1."""
        try:
            return super().main(*args, **extra)
        except OSError as error:
            Patient(sys.stdout).settle()
            with contextlib.suppress(OSError):
                click.echo(f"not all could be written: {words_of(error)}", err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table: what is needed first stands first."""
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        split = next((at for at, word in enumerate(args) if word not in LEADING), len(args))
        leading, rest = args[:split], args[split:]
        if rest and not rest[0].startswith("-"):
            return super().parse_args(ctx, [rest[0], *leading, *rest[1:]])
        if leading and not rest:
            raise click.UsageError(f"which verb? {leading[0]} says only how", ctx)
        if leading and rest[0] not in ("--help", "--version"):
            raise click.NoSuchOption(rest[0], ctx=ctx)
        return super().parse_args(ctx, rest if leading else args)
