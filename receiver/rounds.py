"""The loop of whoever looks again and again: nothing that goes wrong in one look ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from receiver.store.database import StoreError

STORE = "the store cannot be used; looking again"


async def look_for_ever(
    look: Callable[[], Awaitable[object]], every_seconds: float, log: Any, store: str = STORE
) -> None:
    """``log`` is who looks; ``store``: what is said when the store cannot be used. Ends when it is cancelled."""
    while True:
        try:
            await look()
        except StoreError as error:
            log.warning(store, problem=str(error))
        except Exception:  # a fault of ours here must not stop what else the receiver does
            log.exception("our own fault; looking again")
        await asyncio.sleep(every_seconds)
