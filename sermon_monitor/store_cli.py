"""``sermon-monitor store``: is the store's file sound, and what mends it where it is not."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from receiver.store.database import StoreError
from receiver.store.repair import HELD_FOR, Repaired, problems, repair
from sermon_monitor import shown, store_file
from sermon_monitor.terminal import deployment_option, fail, settings_of
from target.durations import format_duration


@click.group("store")
def store_group() -> None:
    """The file that incidents, steps and messages are in.

    Example: sermon-monitor store check
    """


@store_group.command("check")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@deployment_option
@click.pass_context
def check_command(context: click.Context, as_json: bool) -> None:
    """Look through the whole file for damage; exit code 1 where there is any. Changes nothing.

    Example: sermon-monitor store check
    """
    path = _path(context)
    try:
        found = problems(path)
    except StoreError as error:
        fail([str(error)])
    if as_json:
        click.echo(json.dumps({"path": str(path), "sound": not found, "problems": found}))
    elif found:
        click.echo(f"{path} is damaged:")
        for line in found:
            click.echo(f"  {shown.line(line)}")
        click.echo("→ sermon-monitor store repair")
    else:
        click.echo(f"{path} is sound")
    sys.exit(1 if found else 0)


@store_group.command("repair")
@click.option("--force", is_flag=True, help="Although the file seems sound.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@deployment_option
@click.pass_context
def repair_command(context: click.Context, force: bool, as_json: bool) -> None:
    """Put a sound file in the place of a damaged one, with all that can still be read; the old one is kept aside.

    The receiver may go on running: it has let go of a damaged file, and takes the new one by itself.

    Example: sermon-monitor store repair
    """
    path = _path(context)
    try:
        if not force and not problems(path):
            click.echo(f"{path} is sound: nothing to repair")
            return
        done = repair(path, datetime.now(UTC))
    except StoreError as error:
        fail([_stop_first(str(error))])
    if as_json:
        click.echo(json.dumps(_as_dict(path, done)))
        return
    for line in _lines(path, done):
        click.echo(line)


def _path(context: click.Context) -> Path:
    settings = settings_of(context)
    if settings.server is not None:
        fail(
            [
                f"the store is in {settings.server}: PostgreSQL keeps its files sound by itself; pg_amcheck looks through them, pg_dump saves them"
            ]
        )
    path = settings.database_path
    try:
        if not store_file.exists(path):
            fail([f"{path}: there is no store"])
    except StoreError as error:
        fail([str(error)])
    return path


def _stop_first(words: str) -> str:
    if "in use by another receiver" not in words:
        return words
    return f"{words}, which has noticed no damage: stop it first (in the compose stack: docker compose restart monitor)"


def _lines(path: Path, done: Repaired) -> list[str]:
    told = done.salvaged
    rows, copied, gaps = (sum(one.values()) for one in (told.read, told.copied, told.gaps))
    lines = [
        f"{path} is sound again: {rows} rows were read of the damaged file",
        f"the damaged file is kept: {done.aside}",
    ]
    if copied:
        lines.append(f"{copied} rows are of an older copy; what was open among them is ended")
    if gaps:
        where = ", ".join(f"{table} {count}" for table, count in told.gaps.items() if count)
        lines.append(f"what could not be read, in places: {where}")
    if not told.whole:
        lines.append(
            f"nothing is done by itself for {format_duration(HELD_FOR)}; to end that: sermon-monitor maintenance stop"
        )
    return lines


def _as_dict(path: Path, done: Repaired) -> dict[str, object]:
    told = done.salvaged
    return {
        "path": str(path),
        "aside": str(done.aside),
        "whole": told.whole,
        "read": told.read,
        "copied": told.copied,
        "gaps": told.gaps,
    }
