"""``sermon-monitor report-rollback``, for the workflow's last step."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from sermon_monitor import report
from sermon_monitor.terminal import fail
from target.settings import SettingsError, read_settings


@click.command("report-rollback")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--reason",
    envvar="REASON",
    default="",
    help="Why it was asked for, where FILE does not say it ($REASON).",
)
@click.option(
    "--verb",
    type=click.Choice(["rollback", "emergency-stop"]),
    default="rollback",
    show_default=True,
    help="What was run, where FILE holds no result.",
)
def report_rollback(file: Path, reason: str, verb: report.Verb) -> None:
    """Tell how a run of the rollback workflow ended: step summary, Discord, deployment, and an issue where it failed.

    FILE is what sermon-recovery printed with --json. Secrets come from the environment alone:
    DISCORD_WEBHOOK_URL, GITHUB_TOKEN. Exit code 1: not everybody could be told.

    Example: sermon-monitor report-rollback "$RUNNER_TEMP/outcome.json"
    """
    try:
        settings = read_settings(report.RunSettings, os.environ)
    except SettingsError as error:
        fail(error.problems, 2)
    told = asyncio.run(report.report(settings, report.read_outcome(file, verb), reason))
    for one in told:
        click.echo(f"{one.place}: {one.problem or 'told'}")
    sys.exit(1 if any(one.problem for one in told) else 0)
