"""Make room on a full disk: what can be made again by itself, old versions only as approved.

Safe to repeat after a crash at any instant: what is gone is gone, and what is left is looked at anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from receiver.actions import Progress
from receiver.approving.approvals import latest
from receiver.garbage import Disk, Garbage, size
from receiver.records import Step
from receiver.settings import ReceiverSettings
from receiver.store.history import History
from target.engine import Engine, EngineError
from target.reclaimable import Reclaimable


class CleanUp:
    """``safe``: build cache and images without a name. ``images``: the named ones that were approved."""

    name = "cleanup"

    def __init__(self, settings: ReceiverSettings, engine: Engine) -> None:
        self._garbage = Garbage(settings, engine)
        self._engine = engine

    async def prepare(
        self, step: Step, history: History, now: datetime
    ) -> tuple[str, dict[str, Any]]:
        """The room there is before; and exactly what a person has approved."""
        disk = await asyncio.to_thread(self._garbage.disk)
        detail: dict[str, Any] = {"free": disk.free}
        if step.target == "images":
            approved = latest(history.approvals, step)
            detail["images"] = approved.subject.split() if approved else []
        return "cleaning", detail

    async def advance(self, step: Step, history: History, now: datetime) -> Progress:
        work = self._old if step.target == "images" else self._safe
        try:
            words = await asyncio.to_thread(work, step, now)
            disk = await asyncio.to_thread(self._garbage.disk)
        except EngineError as error:
            return Progress("failed", f"the clean-up broke off: {error}", detail=step.detail)
        return Progress("done", words + _room(step.detail.get("free"), disk), detail=step.detail)

    def _safe(self, step: Step, now: datetime) -> str:
        cache = self._engine.prune_build_cache()
        gone, left = self._remove(self._garbage.nameless())
        parts = [f"{size(cache)} of build cache"] if cache else []
        if gone:
            parts.append(f"{_images(gone)} without a name")
        return _said(parts, left)

    def _old(self, step: Step, now: datetime) -> str:
        """Only what was approved, and of that only what nothing needs by now."""
        approved: Collection[str] = step.detail.get("images", [])
        still = [one for one in self._garbage.old_versions(now) if one.id in approved]
        gone, left = self._remove(still)
        return _said([f"{_images(gone)} of old versions"] if gone else [], left)

    def _remove(self, found: Iterable[Reclaimable]) -> tuple[list[Reclaimable], list[str]]:
        """What went, and what the Engine would not let go. Raises EngineError where it does not answer."""
        gone, left = [], []
        for image in found:
            try:
                self._engine.remove_image(image.id)
            except EngineError as error:
                self._engine.ping()
                if not error.missing:
                    left.append(f"{image.id[7:19]} stays: {error}")
                continue
            gone.append(image)
        return gone, left


def _images(gone: Collection[Reclaimable]) -> str:
    """Shared layers are counted with each: it is at most so much."""
    count = f"{len(gone)} image{'s' if len(gone) > 1 else ''}"
    return f"{count} (up to {size(sum(one.bytes for one in gone))})"


def _said(parts: Collection[str], left: Collection[str]) -> str:
    words = f"removed {' and '.join(parts)}" if parts else "there was nothing to remove"
    return "; ".join([words, *list(left)[:3]])


def _room(before: int | None, disk: Disk) -> str:
    if before is None or disk.free is None:
        return f"; how much room {disk.path} has cannot be seen from here"
    return f"; {disk.path} had {size(before)} of room, now {size(disk.free)}"
