"""``sermon-monitor status``: how it stands right now, as the board's first page has it; ``--watch`` goes on looking."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import Any

import aiohttp
import click

from receiver.board import now as board
from receiver.board.looking import look
from receiver.board.now import Kept
from receiver.http import Http, open_session
from receiver.paths import base
from receiver.store.database import StoreError
from receiver.telling.delivery import DeliveryError
from receiver.verify import Confirmer
from sermon_monitor import shown, store_file
from sermon_monitor.listening.web_config import WebConfigError, read_web_config
from sermon_monitor.settings import Settings
from sermon_monitor.terminal import deployment_option, of_deployment
from target.engine import Engine
from target.settings import split_address


async def gather(settings: Settings, name: str = "") -> board.Seen:
    """Look at the process, the deployment, the machine and the store. Changes nothing.

    ``name``: of the deployment, where there are several.
    """
    engine = Engine(settings.docker_host)
    async with open_session() as session:
        http = Http(session)
        try:
            receiver, sight = await asyncio.gather(
                _readiness(settings, base(name)), look(settings, Confirmer(settings, engine, http))
            )
        finally:
            engine.close()
    now = datetime.now(UTC)
    kept, trouble = Kept(), ""
    try:
        if store_file.exists(settings.store):
            with store_file.looking(settings.store) as connection:
                kept = board.remember(connection, now)
    except StoreError as error:
        trouble = str(error)
    return board.seen(settings, now, receiver, sight, kept, trouble)


async def _readiness(settings: Settings, path: str) -> str:
    host, port = split_address(settings.receiver_listen)
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not listened on
    address = f"[{local}]:{port}" if ":" in local else f"{local}:{port}"
    scheme = "https" if _speaks_tls(settings) else "http"
    # Our own process on this machine: its certificate is made out to the name others call it by.
    own = aiohttp.TCPConnector(force_close=True, ssl=False)
    try:
        async with aiohttp.ClientSession(connector=own) as session:
            url = f"{scheme}://{address}{path}/readyz"
            answer = await Http(session).request("GET", url, headers={}, timeout=5.0)
    except DeliveryError as error:
        if scheme == "https" and "Connection refused" not in error.words:
            return f"{address} asks for a certificate, or does not speak TLS: {error.words}"
        return f"nothing answers at {address}: the service does not run (or RECEIVER_LISTEN is another here)"
    return "" if answer.status == 200 else answer.words()


def _speaks_tls(settings: Settings) -> bool:
    if settings.web_config_file is None:
        return False
    try:
        return read_web_config(settings.web_config_file).tls_server_config is not None
    except WebConfigError:
        return False


def _look(settings: Settings, name: str) -> dict[str, Any]:
    return board.judge(asyncio.run(gather(settings, name)))


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--every",
    type=click.IntRange(1, 3600),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="The pause between two looks of --watch.",
)
@deployment_option
@click.pass_context
def status_command(context: click.Context, as_json: bool, watch: bool, every: int) -> None:
    """How it stands right now: healthy or not, and why. Exit 1 when it is not.

    With --watch and --json each look is one line of JSON.

    Example: sermon-monitor status --watch
    """
    settings, share = of_deployment(context)
    if watch:
        healthy = shown.watch(
            lambda: _look(settings, share.name), every, settings.zone, as_json=as_json
        )
    else:
        with shown.progress("looking", quiet=as_json):
            now = _look(settings, share.name)
        shown.status(now, settings.zone, as_json=as_json)
        healthy = now["healthy"]
    sys.exit(0 if healthy else 1)
