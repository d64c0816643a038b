"""Processes the tests start: with a log, waited for by condition, ended by their own id."""

from __future__ import annotations

import http.client
import itertools
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

Answer = TypeVar("Answer")
_tried = itertools.count(os.getpid())


@dataclass
class Process:
    """A process of ours. ``log`` holds its stdout and stderr."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, grace_seconds: float = 10.0) -> None:
        """SIGTERM, and SIGKILL after ``grace_seconds``; nothing when it has ended already."""
        if self.running:
            self.popen.terminate()
        try:
            self.popen.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a power cut would have it."""
        self.popen.kill()
        self.popen.wait()


def spawn(
    command: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Process:
    """Start ``command``; its output is appended to ``log``. It gets SIGTERM when the tests die without stopping it.

    It leads a session of its own, so that Ctrl-C reaches the tests first and they stop it in order.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    words = ["setpriv", "--pdeathsig", "TERM", *map(str, command)]
    with log.open("ab") as output:
        popen = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(os.environ if env is None else env),
            cwd=cwd,
            start_new_session=True,
        )
    return Process(popen, log)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120.0,
) -> str:
    """Run ``command`` to its end; its stdout. Raises AssertionError with both outputs when it fails."""
    words = [str(word) for word in command]
    if not shutil.which(words[0], path=(env or os.environ).get("PATH")):
        raise AssertionError(f"{words[0]}: no such command")
    answer = subprocess.run(
        words, capture_output=True, text=True, check=False, env=env, cwd=cwd, timeout=timeout
    )
    if answer.returncode != 0:
        raise AssertionError(
            f"{' '.join(words)}: exit {answer.returncode}\n{answer.stdout[-2000:]}\n{answer.stderr[-2000:]}"
        )
    return answer.stdout


def wait_for(
    condition: Callable[[], Answer],
    what: str,
    within: float = 60.0,
    process: Process | None = None,
) -> Answer:
    """Ask ``condition`` until its answer is true, and return that answer. An OSError means: not yet.

    Raises AssertionError after ``within`` seconds, or at once when ``process`` has ended, with the
    tail of its log. The bound is generous on purpose: it ends a broken run, it measures nothing.
    """
    deadline = time.monotonic() + within
    last = ""
    while True:
        try:
            if answer := condition():
                return answer
        except OSError as error:
            last = f" ({error})"
        ended = process is not None and not process.running
        if ended or time.monotonic() > deadline:
            why = "the process has ended" if ended else f"not within {within:.0f} s"
            tail = f"\n{process.tail()}" if process else ""
            raise AssertionError(f"waited for {what}: {why}{last}{tail}")
        time.sleep(0.05)  # the pause between two questions; the condition decides, not the time


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now.

    Below those that the kernel gives to whoever connects (ip_local_port_range), and each worker has its own: what is
    started a moment later finds it free.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw99").removeprefix("gw")) % 16
    while True:
        port = 16_384 + worker * 1000 + next(_tried) % 1000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def fetch(
    url: str, method: str = "GET", body: bytes | None = None, timeout: float = 5.0
) -> tuple[int, bytes]:
    """One plain request (a body is sent as JSON), past any proxy of the environment: status and body.

    Raises OSError when nothing answers.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(
            method, target or "/", body, {"Content-Type": "application/json"} if body else {}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{url}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
