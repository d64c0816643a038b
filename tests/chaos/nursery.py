"""Starts receivers quickly: one process has the product loaded and forks a receiver when it is told to.

``python -m tests.chaos.nursery`` reads a line of JSON for each start and writes one for each start
and each end. ``Nursery`` is the other side of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.points import Fate

_PR_SET_PDEATHSIG = 1


@dataclass
class Receiver:
    """One life of a receiver. ``ended`` is done with its exit code, as ``os.waitstatus_to_exitcode`` tells it."""

    pid: int
    ended: asyncio.Future[int] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def signal(self, number: int) -> None:
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self.pid, number)


class Nursery:
    """The parent of receivers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._starts: list[asyncio.Future[int]] = []
        self._alive: dict[int, Receiver] = {}
        self._early: dict[int, int] = {}

    async def start(
        self,
        environment: Mapping[str, str],
        fate: Fate,
        record: Path,
        clock: Path,
        log: Path,
    ) -> Receiver:
        asked = {
            "environment": dict(environment),
            "fate": [fate.seed, fate.often, sorted(fate.spared), fate.seldom],
            "record": str(record),
            "clock": str(clock),
            "log": str(log),
        }
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._starts.append(started)
        if self._process.stdin is None:
            raise RuntimeError("the nursery has no stdin")
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        receiver = Receiver(await started)
        if receiver.pid in self._early:
            receiver.ended.set_result(self._early.pop(receiver.pid))
        else:
            self._alive[receiver.pid] = receiver
        return receiver

    async def listen(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("the nursery has no stdout")
        while line := await self._process.stdout.readline():
            what, pid, code = json.loads(line)
            if what == "started":
                self._begin(self._starts.pop(0), pid)
            elif pid in self._alive:
                self._alive.pop(pid).ended.set_result(code)
            else:
                self._early[pid] = code
        raise RuntimeError("the nursery has ended")

    @staticmethod
    def _begin(waiting: asyncio.Future[int], pid: int) -> None:
        if waiting.cancelled():  # nobody wants it any more
            os.kill(pid, signal.SIGKILL)
        else:
            waiting.set_result(pid)


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """Its end ends every receiver."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos.nursery",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Nursery(process)
    listening = asyncio.create_task(made.listen())
    try:
        yield made
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


def _tell(*words: str | int) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def _child(asked: Mapping[str, Any]) -> None:
    from tests.chaos import victim  # noqa: PLC0415 - loaded by main() before the first fork

    # The receivers must not outlive a test that was killed.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(asked["environment"])
    seed, often, spared, seldom = asked["fate"]
    fate = Fate(seed, often, frozenset(spared), seldom)
    os._exit(victim.run(fate, Path(asked["record"]), Path(asked["clock"])))


def main() -> None:
    import docker  # noqa: F401, PLC0415 - it loads this at its first restart

    from tests.chaos import victim  # noqa: PLC0415 - the whole product, once

    for address in victim.unknown():
        sys.stderr.write(f"not scaled, because it is not there any more: {address}\n")

    inside, outside = socket.socketpair()
    for end in (inside, outside):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(outside.fileno(), warn_on_full_buffer=False)
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(inside, selectors.EVENT_READ)
    waiting = b""
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:
                chunk = os.read(0, 1 << 16)
                if not chunk:
                    return
                *lines, waiting = (waiting + chunk).split(b"\n")
                for line in lines:
                    _fork(json.loads(line))
            else:
                inside.recv(4096)
                _reap()


def _fork(asked: Mapping[str, Any]) -> None:
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            _child(asked)
        except BaseException:  # noqa: BLE001 - whatever it is, it is told in the log, and the fork ends here
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(70)
    _tell("started", pid, 0)


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _tell("ended", pid, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
