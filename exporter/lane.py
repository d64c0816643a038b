"""A thread that reads what may block: one job after the other, never two at once.

Readings in parallel would only take the interpreter from each other, at the price of a context switch
a file. As a daemon thread it does not keep the process from exiting while a job hangs in the kernel.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

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
        """What ``call`` returns, once those before it are done. Raises OSError, as ``call`` does; it raises nothing else."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def deliver(result: Result | None, error: OSError | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def job() -> None:
            result, failure = None, None
            try:
                result = call()
            except OSError as error:
                failure = error
            try:
                loop.call_soon_threadsafe(deliver, result, failure)
            except RuntimeError:
                return  # the loop has been closed meanwhile: nobody waits

        self.do(job)
        return await future

    def close(self) -> None:
        """End the thread after its last job; does not wait for it."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
