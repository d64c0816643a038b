"""The toolkit's verbs: one line a verb. Its command stands in a file of its own."""

from __future__ import annotations

from dataclasses import dataclass

import click

from recovery.health import health_check
from recovery.logs import logs
from recovery.services import emergency_restart, restart_services
from recovery.stop import emergency_stop


@dataclass(frozen=True)
class Verb:
    """``changes``: it has a plan, ``--dry-run`` and ``--yes``; else it only looks."""

    command: click.Command
    changes: bool

    @property
    def name(self) -> str:
        return self.command.name or ""


VERBS: tuple[Verb, ...] = (
    Verb(health_check, changes=False),
    Verb(logs, changes=False),
    Verb(restart_services, changes=True),
    Verb(emergency_stop, changes=True),
    Verb(emergency_restart, changes=True),
)
