"""Whether a request with an end has expired, on a machine whose clock may not be set yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from recovery.inputs import clock_is_behind, too_late

CLOCK_PATIENCE_SECONDS = 120.0
"""How long a request with an end waits for a clock that is plainly not set: after a boot, a Pi asks the
network for the time, and a runner may be quicker."""


def late(
    expires_at: datetime | None, seen: datetime | None, say: Callable[[str], None]
) -> str | None:
    """Why the request may not be carried out any more, or where nobody can tell; None: it may.

    ``seen``: the newest time that is known to have been, as in ``too_late``.
    """

    def behind() -> bool:
        return clock_is_behind(datetime.now(UTC), seen)

    if expires_at is not None and behind():
        say("this machine's clock is not set yet; waiting for it")
        wait_for_clock(behind)
    return too_late(expires_at, datetime.now(UTC), seen)


def wait_for_clock(
    behind: Callable[[], bool],
    patience: float = CLOCK_PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return as soon as the clock is not ``behind`` any more, or after ``patience`` seconds."""
    began = time.monotonic()
    while behind() and time.monotonic() - began < patience:
        sleep(1.0)
