"""The command line: ``sermon-monitor``. Exit 0 done, 1 unhealthy or refused, 2 wrong usage."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from receiver import board
from receiver.deciding.policy import PolicyError
from receiver.hearing.alertmanager import BodyError, parse_webhook
from receiver.store.database import StoreError
from sermon_monitor import check as checks
from sermon_monitor import explain as explaining
from sermon_monitor import secrets, serve, shown
from sermon_monitor.approvals import approvals_command, approve_command, deny_command
from sermon_monitor.audit import audit_command
from sermon_monitor.by_hand import discard_command, note_command, retry_command
from sermon_monitor.digest import digest_command
from sermon_monitor.evidence import evidence_command
from sermon_monitor.health_monitor import health_monitor
from sermon_monitor.install_cli import install_units, install_workflow
from sermon_monitor.maintenance import maintenance_group
from sermon_monitor.mark import mark_command
from sermon_monitor.policy_test import policy_group
from sermon_monitor.report_cli import report_rollback
from sermon_monitor.settings import Settings, without_effect
from sermon_monitor.status import status_command
from sermon_monitor.terminal import fail, found_in_store, limit_option, settings_of
from target.rules import render_rules

MAX_REPLAY_BYTES = 64 * 1024 * 1024


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sermon-monitor")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="KEY=VALUE settings file (default: $SERMON_MONITOR_CONFIG).",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Watches the Sermon Uploader, tells people on Discord when it breaks, and puts it right.

    Example: sermon-monitor serve
    """
    context.obj = config


@main.command("serve")
@click.option(
    "--only", type=click.Choice(["exporter", "receiver"]), help="Run one half of the process."
)
@click.pass_context
def serve_command(context: click.Context, only: serve.Only) -> None:
    """Run the process until SIGTERM.

    Example: DRY_RUN=true sermon-monitor serve
    """
    settings = settings_of(context)
    for name in without_effect(context.obj):
        click.echo(f"sermon-monitor: {name} is set and has no effect in this release", err=True)
    try:
        serve.serve(settings, only)
    except (serve.StartError, StoreError) as error:
        fail([str(error)])
    except PolicyError as error:
        fail(error.problems, 2)


@main.command("check")
@click.option("--send", is_flag=True, help="Send one test card.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def check_command(context: click.Context, send: bool, as_json: bool) -> None:
    """Look at settings, policy, Docker, the application, Prometheus, Alertmanager. Exit 1 with a list.

    Example: sermon-monitor check --send
    """
    settings = settings_of(context)
    with shown.progress("looking at everything", quiet=as_json):
        found = asyncio.run(checks.check(settings, send=send, idle=without_effect(context.obj)))
    shown.findings(found, as_json=as_json)
    sys.exit(1 if any(finding.level == "problem" for finding in found) else 0)


@main.command("explain")
@click.argument("alertname")
@click.argument("labels", nargs=-1, metavar="[LABEL=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def explain_command(
    context: click.Context, alertname: str, labels: tuple[str, ...], as_json: bool
) -> None:
    """What an alert would do right now, and why. Changes nothing.

    Example: sermon-monitor explain ServiceDown cause=app
    """
    pairs = {}
    for text in labels:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"allowed: LABEL=VALUE; got {text!r}")
        pairs[key] = value
    with shown.progress("asking every gate", quiet=as_json):
        told = _or_fail(
            lambda settings: explaining.explain(settings, alertname, pairs), settings_of(context)
        )
    shown.explanation(told, as_json=as_json)


@main.command("replay")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def replay_command(context: click.Context, file: Path, as_json: bool) -> None:
    """What a recorded webhook body would do; - reads standard input. Changes nothing.

    Example: sermon-monitor replay body.json
    """
    settings = settings_of(context)
    try:
        webhook = parse_webhook(_recorded(file))
    except OSError as error:
        fail([f"{file}: {error.strerror}"])
    except BodyError as error:
        fail(
            [
                f"{file}: not a webhook body of version 4",
                *(f"  {item['field']}: {item['problem']}" for item in error.fields),
            ]
        )
    with shown.progress("asking every gate", quiet=as_json):
        told = _or_fail(lambda settings: explaining.replay(settings, webhook), settings)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        for one in told:
            shown.explanation(one, as_json=False)


@main.command("incidents")
@click.option("--json", "as_json", is_flag=True, help="Print the incidents as JSON.")
@limit_option
@click.pass_context
def incidents_command(context: click.Context, as_json: bool, limit: int) -> None:
    """List incidents with their alerts and steps, open ones first.

    Example: sermon-monitor incidents --json
    """
    settings = settings_of(context)
    found = found_in_store(settings, lambda c: board.overview(c, datetime.now(UTC), limit))
    shown.incidents(found, as_json=as_json)


@main.command("rules")
@click.option(
    "--conf",
    type=click.Path(path_type=Path),
    help="Settings file with the thresholds (default: as in force).",
)
@click.pass_context
def rules_command(context: click.Context, conf: Path | None) -> None:
    """Print alerts.yml for the thresholds in force.

    Example: sermon-monitor rules --conf /etc/sermon-uploader/health-monitor.conf > monitoring/alerts.yml
    """
    if conf is not None:
        context.obj = conf
    click.echo(render_rules(settings_of(context)), nl=False)


@main.group("secrets")
def secrets_group() -> None:
    """The secrets of the compose stack.

    Example: docker compose -f docker-compose.monitoring.yml run --rm monitor secrets show
    """


_DIRECTORY = click.argument("directory", type=click.Path(path_type=Path), default=Path("/secrets"))


@secrets_group.command("init")
@_DIRECTORY
@click.pass_context
def secrets_init(context: click.Context, directory: Path) -> None:
    """Make what is missing in DIRECTORY; what is there stays.

    Example: sermon-monitor secrets init /secrets
    """
    url = settings_of(context).discord_webhook_url
    try:
        made = secrets.initialise(directory, url.get_secret_value() if url else None)
    except OSError as error:
        fail([f"{directory}: {error.strerror}"])
    click.echo(f"changed: {', '.join(made)}" if made else "nothing was missing")


@secrets_group.command("show")
@_DIRECTORY
def secrets_show(directory: Path) -> None:
    """Print the generated secrets, for whoever set the stack up.

    Example: sermon-monitor secrets show /secrets
    """
    try:
        for name, text in secrets.shown(directory).items():
            click.echo(f"{name}: {text}")
    except OSError as error:
        fail([f"{error.filename}: {error.strerror}; sermon-monitor secrets init makes them"])


def _recorded(file: Path) -> bytes:
    """The whole of ``file``; ends where it is no file, as a device or a pipe may never end. Raises OSError."""
    if str(file) == "-":
        body = sys.stdin.buffer.read(MAX_REPLAY_BYTES + 1)
    elif not stat.S_ISREG(file.stat().st_mode):
        fail([f"{file}: not a regular file; - reads standard input"])
    else:
        with file.open("rb") as opened:
            body = opened.read(MAX_REPLAY_BYTES + 1)
    if len(body) > MAX_REPLAY_BYTES:
        fail([f"{file}: larger than {MAX_REPLAY_BYTES} bytes"])
    return body


def _or_fail(work: Any, settings: Settings) -> Any:
    try:
        return asyncio.run(work(settings))
    except StoreError as error:
        fail([str(error)])
    except PolicyError as error:
        fail(error.problems, 2)


for command in (
    audit_command,
    digest_command,
    discard_command,
    maintenance_group,
    evidence_command,
    mark_command,
    note_command,
    policy_group,
    retry_command,
    status_command,
    approvals_command,
    approve_command,
    deny_command,
    health_monitor,
    install_units,
    install_workflow,
    report_rollback,
):
    main.add_command(command)
