"""The real ``sermon-monitor serve --only receiver``, with three seams where it can be killed.

Nothing of the product is replaced: its connection to the store tells what it commits, its actions and
its notifier are called through a front, its clock can jump. Times that are fixed in the code are
divided, as those of policy.yml are by the scenario's own file.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import mmap
import random
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from receiver import equipment, service
from receiver.approving import approvals
from receiver.hearing import reconcile
from receiver.http import Http
from receiver.store import database
from sermon_monitor import cli, serve
from tests.chaos.people import HOLDS
from tests.chaos.points import Fate, Reaper, TappedConnection

SCALED: Mapping[str, float | timedelta | tuple[float, float]] = {
    "receiver.telling.outbox:FIRST_WAIT": 0.05,
    "receiver.telling.outbox:LONGEST_WAIT": 0.5,
    "receiver.telling.outbox:GONE_WAIT": 0.5,
    "receiver.telling.outbox:IDLE": 1.0,
    "receiver.worker:LONGEST_SLEEP": timedelta(seconds=1),
    "receiver.store.messages:EDIT_EVERY": timedelta(milliseconds=100),
    "receiver.notifiers.discord_answers:BLOCKED_SECONDS": 0.5,
    "receiver.github.api:MUTATION_GAP_SECONDS": 0.05,
    "receiver.github.api:BAD_CREDENTIALS_SECONDS": 1.0,
    "receiver.github.verdict:SECONDARY_WAIT_SECONDS": 0.5,
    "receiver.github.preflight:FRESH_SECONDS": 0.5,
    "receiver.verify:PROBE_SECONDS": 2.0,
    "receiver.actions.restart:SETTLE": timedelta(seconds=4),
    "receiver.actions.restart:LOOK_EVERY": timedelta(milliseconds=100),
    "receiver.actions.local_rollback:STABLE_SECONDS": (0.3, 0.3),
    "receiver.actions.local_rollback:LOOK_SECONDS": 0.1,
    "receiver.actions.investigate:LOOK_AGAIN": timedelta(milliseconds=100),
    "receiver.actions.investigate:TRY_AGAIN": timedelta(milliseconds=300),
    "receiver.approving.approvals:HOLDS": HOLDS,
    "receiver.actions.emergency_stop:HOLDS": HOLDS,
    "receiver.digest.keeper:PACE_SECONDS": 0.2,
    "receiver.emergency:AFTER": timedelta(seconds=3),
    "receiver.hearing.reconcile:FIRST_PAUSE": 0.1,
    "receiver.hearing.reconcile:LONGEST_PAUSE": 0.5,
    "receiver.hearing.reconcile:FOLLOW_FOR": timedelta(seconds=3),
    "receiver.rollback.route:FRESH_SECONDS": 1.0,
}
HTTP_SECONDS = 3.0
"""Deadline of a request, instead of 10 s."""
APPROVAL_TTL = timedelta(seconds=6)
"""Instead of a minute at least."""
OUT_FOR_SECONDS = 0.05
"""Within this time of its beginning a call is cut off, where it is to be cut off while it is out."""


class JumpingClock:
    """The machine's clock, as far off as the scenario has written into a file."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._offset = mmap.mmap(opened.fileno(), 8, access=mmap.ACCESS_READ)

    def now(self) -> datetime:
        (seconds,) = struct.unpack("d", self._offset[:8])
        return datetime.now(UTC) + timedelta(seconds=seconds)


class Fronted:
    """Calls every coroutine method of what is behind it past the reaper."""

    def __init__(
        self, behind: Any, reaper: Reaper, names: Mapping[str, Callable[..., str]]
    ) -> None:
        self._behind = behind
        self._reaper = reaper
        self._names = names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._behind, name)
        if not inspect.iscoroutinefunction(found) or name == "prepare":
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            naming = self._names.get(name)
            point = naming(*args) if naming else name
            return await watched(self._reaper, point, found(*args, **kwargs))

        return call


async def watched(reaper: Reaper, point: str, work: Awaitable[Any]) -> Any:
    names = (point,)
    reaper.passes(names, "before")
    cut = None
    if reaper.wants(names):
        delay = random.uniform(0, OUT_FOR_SECONDS)
        cut = asyncio.get_running_loop().call_later(delay, reaper.die, names, "during")
    else:
        reaper.note(names, "during")
    try:
        return await work
    finally:
        if cut is not None:
            cut.cancel()
            reaper.die(names, "during")
        reaper.passes(names, "after")


def _advance(step: Any, *_: Any) -> str:
    return f"{step.action}: in {step.phase}"


def _send(_view: Any, message_id: str | None, *_: Any) -> str:
    return "card: being posted" if message_id is None else "card: being edited"


NOTIFIER_POINTS: Mapping[str, Callable[..., str]] = {
    "send": _send,
    "call": lambda *_: "call: being posted",
    "post": lambda *_: "note: being posted",
    "attach": lambda *_: "files: being attached",
}


def tap(reaper: Reaper, clock: JumpingClock) -> None:
    """Put the seams in. Raises AttributeError or KeyError where the product has moved what is meant."""
    connect, build = database.connect, equipment.build_actions
    configured: Callable[..., Sequence[Any]] = vars(service)["configured"]
    opened = database.Database.open

    def tapped(path: Path, *, read_only: bool = False) -> Any:
        connection = connect(path, read_only=read_only)
        return connection if read_only else TappedConnection(connection, reaper)

    def open_watched(self: database.Database) -> None:
        opened(self)
        connection: Any = self._connection
        connection.watch()

    def actions(*args: Any) -> Mapping[str, Any]:
        return {n: Fronted(a, reaper, {"advance": _advance}) for n, a in build(*args).items()}

    def notifiers(*args: Any) -> Sequence[Any]:
        return tuple(Fronted(n, reaper, NOTIFIER_POINTS) for n in configured(*args))

    once, ask = reconcile.Reconciler.once, approvals.put

    async def compared(self: reconcile.Reconciler, url: str) -> reconcile.Result:
        found: reconcile.Result = await watched(reaper, "alerts: being compared", once(self, url))
        return found

    def soon_over(c: Any, step: Any, what: Any, _ttl: timedelta, *more: Any) -> Any:
        return ask(c, step, what, APPROVAL_TTL, *more)

    put: list[tuple[Any, str, Any]] = [
        (reconcile.Reconciler, "once", compared),
        (approvals, "put", soon_over),
        (database, "connect", tapped),
        (database.Database, "open", open_watched),
        (service, "build_actions", actions),
        (service, "configured", notifiers),
        (serve, "SystemClock", lambda: clock),
    ]
    for owner, name, value in put:
        setattr(owner, name, value)


def unknown() -> list[str]:
    """Constants that are not where they were: then the run is only slower, and says so."""
    return [
        address
        for address, value in SCALED.items()
        if type(getattr(*_of(address), None)) is not type(value)
    ]


def _of(address: str) -> tuple[Any, str]:
    module, _, name = address.partition(":")
    return importlib.import_module(module), name


def scale() -> None:
    missing = unknown()
    for address in SCALED.keys() - set(missing):
        setattr(*_of(address), SCALED[address])
    defaults: Any = Http.request.__kwdefaults__
    defaults["timeout"] = HTTP_SECONDS


def run(fate: Fate, record: Path, clock: Path) -> int:
    """Be the receiver until told to stop; its exit code."""
    scale()
    tap(Reaper(fate, record), JumpingClock(clock))
    try:
        cli.main(["serve", "--only", "receiver"], prog_name="sermon-monitor")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
