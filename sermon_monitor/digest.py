"""``sermon-monitor digest``: what the daily digest would say now."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import click

from receiver.digest.keeper import complete, covered_until
from receiver.digest.message import as_text, compose
from receiver.digest.slot import DAY
from receiver.http import Http, open_session
from receiver.store.database import StoreError
from receiver.store.digests import Happened, happened
from receiver.telling.note import Note
from sermon_monitor import shown, store_file
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import deployment_option, fail, settings_of


@click.command("digest")
@click.option("--json", "as_json", is_flag=True, help="Print the message as JSON.")
@deployment_option
@click.pass_context
def digest_command(context: click.Context, as_json: bool) -> None:
    """Print what the daily digest would say now, since the last one. Sends nothing.

    Example: sermon-monitor digest
    """
    settings = settings_of(context)
    try:
        with shown.progress("asking Prometheus", quiet=as_json):
            note = asyncio.run(_digest(settings))
    except StoreError as error:
        fail([str(error)])
    if as_json:
        click.echo(json.dumps(note.model_dump(mode="json"), indent=2))
        return
    for line in as_text(note, settings.zone).split("\n"):
        click.echo(shown.line(line))


async def _digest(settings: Settings) -> Note:
    now = datetime.now(UTC)
    since, found = now - DAY, Happened({}, 0, (), (), (), (), ())
    if store_file.exists(settings.store):
        with store_file.looking(settings.store) as connection:
            since = covered_until(connection, now)
            found = happened(connection, since, now)
    async with open_session() as calls:
        return compose(await complete(found, settings, Http(calls), since, now))
