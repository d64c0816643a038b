"""How a verb that looks is made: a name, words, and the checks it runs; each apart, timed, in its order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import click

from recovery.deployments import Facts, gather
from recovery.finding import HEALTH, Finding, Verdicts
from recovery.options import looks
from recovery.run import EXPECTED, Flags, Session, look, words_of

Check = Callable[[Session, Facts], Iterable[Finding]]


@dataclass(frozen=True)
class Look:
    """A verb that only looks. ``words``: its help, first line first."""

    name: str
    words: str
    example: str
    checks: tuple[Check, ...]
    verdicts: Verdicts = HEALTH

    def command(self) -> click.Command:
        @click.command(
            self.name, help=self.words, epilog=f"Example: sermon-recovery {self.example}"
        )
        @looks
        def run(flags: Flags) -> None:
            look(
                self.name,
                flags,
                lambda session: run_checks(session, gather(session), self.checks),
                self.verdicts,
            )

        return run


def run_checks(session: Session, facts: Facts, checks: Iterable[Check]) -> list[Finding]:
    """One that cannot look is a finding, and the others look all the same."""
    found: list[Finding] = []
    for check in checks:
        name = check.__name__.replace("_", " ")
        session.terminal.at(f"{session.verb}: {name}")
        began = time.monotonic()
        try:
            found += check(session, facts)
        except EXPECTED as error:
            found.append(Finding("problem", name, f"could not be looked at: {words_of(error)}"))
        session.terminal.detail(f"{name}: {time.monotonic() - began:.2f} s")
    return list(dict.fromkeys(found))
