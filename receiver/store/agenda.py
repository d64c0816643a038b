"""SQL of what comes next, of whatever kind."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

from receiver.store import approvals, steps, windows


def next_due(c: Connection) -> datetime | None:
    """When there is next something to do: a step, a look at an end, a window to tell of, an approval that expires."""
    upcoming = (steps.next_due(c), windows.next_change(c), approvals.next_end(c))
    return min((at for at in upcoming if at is not None), default=None)
