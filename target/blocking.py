"""Blocking calls beside an event loop: one daemon thread a call, a bounded wait, never two at once.

A thread that hangs in the kernel (a dead mount, an Engine that accepts and never answers) cannot be
ended from outside. It is left behind, no second one is started beside it, and as a daemon thread it
does not keep the process from exiting, which the threads of concurrent.futures would.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

Result = TypeVar("Result")


class BlockedError(Exception):
    """The call did not come back in time, or an earlier one still has not."""


class Blocking(Generic[Result]):
    """Runs calls of one kind, for instance those to one Engine, one after the other."""

    def __init__(self, what: str) -> None:
        """``what`` names the calls in errors and names the threads."""
        self.what = what
        self._running: asyncio.Future[Result] | None = None
        self._began = 0.0

    @property
    def stuck(self) -> bool:
        """True while a call is out, whether somebody still waits for it or not."""
        return self._running is not None and not self._running.done()

    async def run(self, call: Callable[[], Result], timeout_seconds: float) -> Result:
        """The result of ``call()``; its exceptions come through. Raises BlockedError after ``timeout_seconds``."""
        if self.stuck:
            waited = time.monotonic() - self._began
            raise BlockedError(f"{self.what}: no answer for {waited:.0f} s")
        future = self._start(call)
        await asyncio.wait({future}, timeout=timeout_seconds)
        if not future.done():
            raise BlockedError(f"{self.what}: no answer within {timeout_seconds:g} s")
        return future.result()

    def _start(self, call: Callable[[], Result]) -> asyncio.Future[Result]:
        future, work = answered(call)
        self._running, self._began = future, time.monotonic()
        threading.Thread(target=work, name=self.what, daemon=True).start()
        return future


def answered(call: Callable[[], Result]) -> tuple[asyncio.Future[Result], Callable[[], None]]:
    """What another thread is to run, which raises nothing, and the future of what ``call`` returns or raises there."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    # An answer that nobody waits for any more is still an answer taken note of.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())

    def deliver(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001 - handed to the one who waits, whatever it is
            error = raised
        with suppress(RuntimeError):  # the loop has been closed meanwhile: nobody waits
            loop.call_soon_threadsafe(deliver, result, error)

    return future, work
