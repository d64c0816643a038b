"""Out-of-memory kills of each container from two witnesses of the same: the Engine's events and the kernel's count.

The kernel counts every killed process while the control group is there (``oom_kill`` of memory.events, or of
memory.oom_control in version 1), but the group goes away with the container. An event tells of the
last kill too, but not of one while the stream was broken. So in each run the larger of the two counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from target.engine import Container


@dataclass
class _Run:
    started_at: datetime | None
    before: int = 0
    """Kills in the runs before this one."""
    told_before: int = 0
    """Events of the runs before this one."""
    kernel_before: int | None = None
    """What the kernel had counted when this process first looked; None before that."""
    told: int = 0
    kernel: int = 0

    @property
    def total(self) -> int:
        return self.before + max(self.told - self.told_before, self.kernel)


class Kills:
    """Counts from the first sight of a container on."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    def total(self, container: Container, told: int, kernel: int | None) -> int:
        """Kills so far. ``told`` by events over all runs; ``kernel`` in this run, None where it cannot be read."""
        run = self._runs.get(container.id)
        if run is None:
            run = self._runs[container.id] = _Run(container.started_at)
        elif run.started_at != container.started_at:
            run = _Run(container.started_at, run.total, run.told, kernel_before=0)
            self._runs[container.id] = run
        run.told = told
        if kernel is not None:
            if run.kernel_before is None:
                run.kernel_before = kernel
            run.kernel = max(run.kernel, kernel - run.kernel_before)
        return run.total

    def keep(self, container_ids: Iterable[str]) -> None:
        """Forget all others."""
        self._runs = {one: self._runs[one] for one in container_ids if one in self._runs}
