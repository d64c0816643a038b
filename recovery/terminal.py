"""What a person sees: lines of progress with a spinner, a question, a log file."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

import click
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from recovery.inputs import printable

HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a stop, and a terminal or SSH connection that went away."""


class Patient(io.TextIOBase):
    """A stream that never fails its writer: a reader that left, or a full disk, ends no change half-way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def settle(self) -> None:
        """What is still buffered must not fail again when Python ends (docs.python.org, "Note on SIGPIPE")."""
        try:
            self._stream.flush()
        except OSError:
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """A full disk stops no rollback, and the words are on the terminal already."""


class Terminal:
    """All words go to stderr, and to the log file where there is one; stdout is for what was asked for."""

    def __init__(self, log_dir: Path | None = None, *, verbose: bool = False) -> None:
        self.verbose = verbose
        self._status: Status | None = None
        self._stream = Patient(sys.stderr)
        self.console = Console(file=self._stream, highlight=False, soft_wrap=True)  # type: ignore[arg-type]
        self._log = self._open_log(log_dir) if log_dir else None

    def say(self, words: str, indent: int = 0) -> None:
        """Never fails, whatever has become of the terminal and of the log's disk."""
        line = printable(words, 2000)
        for row in self._rows(line, indent):
            self.console.print(row, markup=False)
        if self._log:
            self._log.info("%s%s", " " * indent, line)

    def detail(self, words: str) -> None:
        """Only with ``--verbose``."""
        if self.verbose:
            self.say(words)

    def at(self, words: str) -> None:
        """What is being done, beside the spinner; leaves no line."""
        if self._status is not None:
            self._status.update(escape(printable(words)))

    def _rows(self, line: str, indent: int) -> list[str]:
        """Cut for a person's terminal; whole for a file or a pipe, so that it can be searched."""
        if not self.console.is_terminal:
            return [" " * indent + line]
        number = re.match(r"\d+\. |\[\d+/\d+\] |\w+: ", line)
        hang = " " * (indent + (len(number.group()) if number else 0))
        width = max(40, self.console.width)
        return textwrap.wrap(
            line,
            width,
            initial_indent=" " * indent,
            subsequent_indent=hang,
            break_long_words=False,
            break_on_hyphens=False,
        )

    @contextmanager
    def working(self, words: str) -> Iterator[Callable[[str], None]]:
        """A spinner while the block runs; what it is given becomes a line and the spinner's words."""
        with self.console.status(escape(words)) as status:
            self._status = status

            def progress(step: str) -> None:
                self.say(step)
                status.update(escape(printable(step)))

            yield progress

    def confirm(self, question: str) -> bool:
        """Ask; without a terminal there is nobody to ask, and the answer is no."""
        if not sys.stdin.isatty():
            return False
        try:
            return click.confirm(question, err=True)
        except (click.Abort, OSError):  # whoever cannot be asked has not said yes
            return False

    def close(self) -> None:
        for handler in list(self._log.handlers) if self._log else []:
            with contextlib.suppress(OSError):  # a full disk: as in _LogFile
                handler.close()
        self._stream.settle()

    def _open_log(self, folder: Path) -> logging.Logger | None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handler = _LogFile(folder / "recovery.log", encoding="utf-8")
        except OSError as error:
            self.console.print(f"no log file in LOG_DIR={folder}: {error.strerror}", markup=False)
            return None
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(process)d %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        )
        log = logging.Logger("sermon-recovery", logging.INFO)
        log.addHandler(handler)
        return log


@contextmanager
def uninterrupted(terminal: Terminal) -> Iterator[None]:
    """Every signal in HELD waits until the block is done: in between, the app would stand between two versions."""
    asked: list[str] = []

    def later(number: int, _: FrameType | None) -> None:
        # Only noted: the signal may have come in the middle of a print, and a second one inside it fails.
        asked.append(signal.Signals(number).name)

    held = {number: signal.signal(number, later) for number in HELD}
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        if asked:
            terminal.say(f"{asked[0]} came meanwhile: what had begun was finished first")
