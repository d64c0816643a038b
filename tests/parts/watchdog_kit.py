"""The Watchdog alert as Alertmanager sends it."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.parts.receiver_kit import Running, alert, body


def watchdog(status: str = "firing") -> dict[str, Any]:
    """A body with nothing else in it."""
    labels = {"alertname": "Watchdog", "severity": "none", "service": "sermon-monitor"}
    return body(alert("Watchdog", status, labels=labels))


async def beat(running: Running) -> None:
    """Send it again and again, until cancelled."""
    while True:
        await running.post(watchdog())
        await asyncio.sleep(0.2)
