"""``sermon-monitor maintenance``: windows in which nothing is done by itself."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from receiver.board import maintenance
from receiver.maintenance import problem_of
from receiver.store import messages, windows
from receiver.store.database import StoreError, connect, migrate
from sermon_monitor import store_file


class RefusedError(Exception):
    """A window that may not be opened, in words."""


def start(path: Path, length: timedelta, reason: str) -> datetime:
    """Open a window from now on; when it ends. Raises RefusedError or StoreError."""
    if problem := problem_of(length, reason):
        raise RefusedError(problem)
    now = datetime.now(UTC)
    with _writing(path) as c:
        windows.open_window(c, now, now + length, reason.strip()[:500], "person", now)
        messages.add_event(c, None, "maintenance asked for", reason.strip()[:500], now)
    return now + length


def stop(path: Path) -> int:
    """End what is open; how many windows that were. Raises StoreError."""
    if not store_file.exists(path):
        return 0
    now = datetime.now(UTC)
    with _writing(path) as c:
        ended = windows.end_windows(c, now)
        if ended:
            messages.add_event(c, None, "maintenance ended", "by hand", now)
    return ended


def listed(path: Path) -> list[dict[str, Any]]:
    """The newest first, each with whether it is ``active``. Raises StoreError."""
    if not store_file.exists(path):
        return []
    with store_file.looking(path) as c:
        return maintenance(c, datetime.now(UTC))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction on the store's file, beside a running process or without one."""
    connection = connect(path)
    try:
        migrate(connection)
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error
    finally:
        connection.close()
