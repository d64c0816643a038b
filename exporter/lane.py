"""A thread that reads what may block: one job after the other, never two at once.

Readings in parallel would only take the interpreter from each other, at the price of a context switch
a file. As a daemon thread it does not keep the process from exiting while a job hangs in the kernel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from target.blocking import answered

Result = TypeVar("Result")


class Lane:
    """Starts its thread with the first job; keeps it until ``close``."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, job: Callable[[], None]) -> None:
        """Run ``job`` after those before it. It must not raise."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    async def result(self, call: Callable[[], Result]) -> Result:
        """What ``call`` returns, once those before it are done. Raises what ``call`` does."""
        future, job = answered(call)
        self.do(job)
        return await future

    def close(self) -> None:
        """End the thread after its last job; does not wait for it."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
