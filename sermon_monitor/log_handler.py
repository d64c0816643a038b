"""The log of a process that does not stop for the reader of its log.

In a container that reader is the Docker Engine. While it hangs the pipe to it fills, and a plain write
would then stop the whole process, whose task it is to tell just this.
"""

from __future__ import annotations

import logging
import os
import select
import sys

_PIECE_BYTES = 4096
"""PIPE_BUF: what is ready to be written to takes so much at once (pipe(7))."""


_PATIENCE_MILLISECONDS = 100
"""For a reader that is only slow; one that let a line be lost is not waited for before it has taken one again."""


class NeverWaiting(logging.Handler):
    """Writes what the descriptor takes. What it does not take is lost, counted, and said once it takes more."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lost = 0
        self._torn = False
        """Only a part of the last line was taken."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._lost and self._put(self.format(_lost(self._lost))):
                self._lost = 0
            if self._lost or not self._put(self.format(record)):
                self._lost += 1
        except Exception:  # noqa: BLE001 - as every handler of logging: a defect in a line must not end its writer
            self.handleError(record)

    def _put(self, line: str) -> bool:
        data = b"\n" * self._torn + line.encode(errors="backslashreplace") + b"\n"
        at, patience = 0, 0 if self._lost else _PATIENCE_MILLISECONDS
        try:
            while at < len(data) and self._poll.poll(patience):
                at += os.write(self._descriptor, data[at : at + _PIECE_BYTES])
        except OSError:
            pass  # a full disk, or a reader that is gone
        if at:
            self._torn = at < len(data)
        return at == len(data)


def never_wait() -> None:
    """From here on the log is written so, as it was set up; where there is no stderr to write to, it stays as it is."""
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError):
        return  # it is closed, or none of the system's: nobody can be waited for
    root = logging.getLogger()
    handler = NeverWaiting(descriptor)
    handler.setFormatter(root.handlers[0].formatter)
    root.handlers[:] = [handler]


def _lost(count: int) -> logging.LogRecord:
    words = "%d lines of the log were lost: nobody took them"
    return logging.LogRecord("log", logging.WARNING, "", 0, words, (count,), None)
