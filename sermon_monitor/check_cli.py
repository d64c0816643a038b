"""``sermon-monitor check``: what is wrong, and what mends it."""

from __future__ import annotations

import asyncio
import sys

import click

from sermon_monitor import shown
from sermon_monitor.checking import checks
from sermon_monitor.deployments import left_to_each
from sermon_monitor.settings import without_effect
from sermon_monitor.terminal import (
    DEPLOYMENT,
    deployment_option,
    every_deployment,
    settings_of,
    settings_of_process,
)


@click.command("check")
@click.option("--send", is_flag=True, help="Send one test card.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@deployment_option
@click.pass_context
def check_command(context: click.Context, send: bool, as_json: bool) -> None:
    """Look at settings, policy, Docker, the application, Prometheus, Alertmanager. Exit 1 with a list.

    Where there are several deployments each is looked at, or the one of --deployment.

    Example: sermon-monitor check --send
    """
    settings = settings_of_process(context)
    several = every_deployment(context, settings)
    idle = [*without_effect(settings), *left_to_each(settings, several)]
    if several and (name := context.meta.get(DEPLOYMENT)):
        several = tuple(one for one in several if one.name == name)
        settings = settings_of(context)  # ends where there is none of that name
    with shown.progress("looking at everything", quiet=as_json):
        if several:
            found = asyncio.run(checks.check_several(several, send=send, idle=idle))
        else:
            found = asyncio.run(checks.check(settings, send=send, idle=idle))
    shown.findings(found, as_json=as_json)
    sys.exit(1 if any(finding.level == "problem" for finding in found) else 0)
