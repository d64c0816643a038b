"""``sermon-monitor explain`` and ``replay``: what an alert would do, and why. They change nothing."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from pathlib import Path
from typing import Any

import click

from receiver.deciding.policy import PolicyError
from receiver.hearing.alertmanager import BodyError, parse_webhook
from receiver.store.database import StoreError
from sermon_monitor import explain as explaining
from sermon_monitor import shown
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import deployment_option, fail, of_deployment

MAX_REPLAY_BYTES = 64 * 1024 * 1024


@click.command("explain")
@click.argument("alertname")
@click.argument("labels", nargs=-1, metavar="[LABEL=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@deployment_option
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
    settings, share = of_deployment(context)
    with shown.progress("asking every gate", quiet=as_json):
        told = _or_fail(
            lambda settings: explaining.explain(settings, alertname, pairs, share), settings
        )
    shown.explanation(told, as_json=as_json)


@click.command("replay")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@deployment_option
@click.pass_context
def replay_command(context: click.Context, file: Path, as_json: bool) -> None:
    """What a recorded webhook body would do; - reads standard input. Changes nothing.

    Example: sermon-monitor replay body.json
    """
    settings, share = of_deployment(context)
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
        told = _or_fail(lambda settings: explaining.replay(settings, webhook, share), settings)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        if share.name and not told:
            click.echo(f"nothing in it is {share.name}'s")
        for one in told:
            shown.explanation(one, as_json=False)


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
