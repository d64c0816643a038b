"""``sermon-monitor check``: what is wrong, and what mends it."""

from __future__ import annotations

import asyncio
import sys

import click

from sermon_monitor import shown
from sermon_monitor.checking import checks
from sermon_monitor.settings import without_effect
from sermon_monitor.terminal import settings_of


@click.command("check")
@click.option("--send", is_flag=True, help="Send one test card.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def check_command(context: click.Context, send: bool, as_json: bool) -> None:
    """Look at settings, policy, Docker, the application, Prometheus, Alertmanager. Exit 1 with a list.

    Example: sermon-monitor check --send
    """
    settings = settings_of(context)
    with shown.progress("looking at everything", quiet=as_json):
        found = asyncio.run(checks.check(settings, send=send, idle=without_effect(settings)))
    shown.findings(found, as_json=as_json)
    sys.exit(1 if any(finding.level == "problem" for finding in found) else 0)
