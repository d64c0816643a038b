"""``sermon-monitor maintenance``: windows in which nothing is done by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from receiver.board import maintenance
from receiver.maintenance import problem_of
from receiver.store import messages, windows
from sermon_monitor import store_file
from target.durations import format_duration


class RefusedError(Exception):
    """A window that may not be opened, in words."""


def start(path: Path, length: timedelta, reason: str, who: str) -> datetime:
    """Open a window from now on; when it ends. Raises RefusedError or StoreError."""
    if problem := problem_of(length, reason):
        raise RefusedError(problem)
    now = datetime.now(UTC)
    with store_file.writing(path) as c:
        windows.open_window(c, now, now + length, reason.strip()[:500], "person", now, who=who)
        words = f"for {format_duration(length)}: {reason.strip()[:500]}"
        messages.add_event(c, None, "maintenance asked for", words, now, who=who)
    return now + length


def stop(path: Path, who: str) -> int:
    """End what is open; how many windows that were. Raises StoreError."""
    if not store_file.exists(path):
        return 0
    now = datetime.now(UTC)
    with store_file.writing(path) as c:
        ended = windows.end_windows(c, now)
        if ended:
            words = f"{ended} window{'s' if ended > 1 else ''} ended before time"
            messages.add_event(c, None, "maintenance ended", words, now, who=who)
    return ended


def listed(path: Path) -> list[dict[str, Any]]:
    """The newest first, each with whether it is ``active``. Raises StoreError."""
    if not store_file.exists(path):
        return []
    with store_file.looking(path) as c:
        return maintenance(c, datetime.now(UTC))
