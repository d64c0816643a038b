"""How every verb runs: facts → plan → printed → confirmed → carried out → outcome; or facts → findings.

Exit codes: 0 done or healthy, 1 refused, failed or unhealthy, 2 wrong usage.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

import click

from recovery.finding import HEALTH, Finding, Verdicts, as_json, healthy, ranked, verdict
from recovery.inputs import printable
from recovery.settings import RecoverySettings
from recovery.shown import show_findings
from recovery.steps import Hands, Plan, Step, StepError
from recovery.terminal import Terminal, uninterrupted
from target.compose import Compose, ComposeError
from target.deployment import DeployError
from target.engine import Engine, EngineError
from target.lock import LockHeldError, exclusive
from target.settings import SettingsError, read_settings

Status = Literal["done", "nothing", "dry_run", "refused", "expired", "failed"]
EXPECTED = (StepError, EngineError, ComposeError, DeployError, OSError)
INTERRUPTED = "stopped by Ctrl-C before anything was changed"


@dataclass(frozen=True)
class Flags:
    """The options that verbs share."""

    config: Path | None = None
    dry_run: bool = False
    yes: bool = False
    as_json: bool = False
    verbose: bool = False


@dataclass(frozen=True)
class Session:
    """What a verb gathers its facts with."""

    verb: str
    flags: Flags
    settings: RecoverySettings
    engine: Engine
    terminal: Terminal


@dataclass(frozen=True)
class Result:
    """How a verb ended."""

    status: Status
    words: str
    plan: Plan
    steps: tuple[tuple[Step, str, bool], ...] = ()
    """Those that were begun: the step, what came of it, whether it succeeded."""

    @property
    def exit_code(self) -> int:
        return 0 if self.status in ("done", "nothing", "dry_run") else 1

    def as_json(self, verb: str) -> dict[str, Any]:
        return {
            "verb": verb,
            "outcome": self.status,
            "words": self.words,
            "plan": self.plan.as_json(),
            "steps": [
                {"words": step.words, "ok": ok, "result": words} for step, words, ok in self.steps
            ],
        }


def look(
    verb: str,
    flags: Flags,
    gather: Callable[[Session], Sequence[Finding]],
    verdicts: Verdicts = HEALTH,
) -> NoReturn:
    """A verb that only looks: print its findings, the worst first, and exit by them."""
    with session_of(verb, flags, log=False) as session:
        with session.terminal.working(f"{verb}: looking"):
            found = ranked(gather(session))
        if flags.as_json:
            click.echo(json.dumps(as_json(verb, found, verdicts)))
        else:
            show_findings(found, verdict(found, verdicts), verbose=flags.verbose)
    raise SystemExit(0 if healthy(found) else 1)


def change(
    verb: str,
    flags: Flags,
    make_plan: Callable[[Session], Plan],
    compose: Callable[[Session], Compose | None] = lambda _: None,
) -> NoReturn:
    """A verb that changes something: plan it, print it, ask, carry it out, and exit by the outcome."""
    with session_of(verb, flags, log=not flags.dry_run) as session:
        result = _changed(session, make_plan, compose)
        session.terminal.say(f"{result.status.replace('_', ' ')}: {result.words}")
        if flags.as_json:
            click.echo(json.dumps(result.as_json(verb)))
    raise SystemExit(result.exit_code)


def _changed(
    session: Session,
    make_plan: Callable[[Session], Plan],
    compose: Callable[[Session], Compose | None],
) -> Result:
    try:
        with session.terminal.working(f"{session.verb}: looking"):
            plan = make_plan(session)
    except EXPECTED as error:
        return Result("refused", words_of(error), Plan(session.verb, refusal=words_of(error)))
    except KeyboardInterrupt:
        return Result("refused", INTERRUPTED, Plan(session.verb, refusal=INTERRUPTED))
    for indent, line in plan.lines() if plan.steps else ():
        session.terminal.say(line, indent=indent)
    if ended := _ended_before(plan, session):
        return ended
    try:
        with uninterrupted(session.terminal), _locked(plan, session.terminal) as busy:
            return carry_out(plan, session, compose(session), busy)
    except LockHeldError as error:
        return Result("refused", f"another change of this deployment is at work: {error}", plan)


def _ended_before(plan: Plan, session: Session) -> Result | None:
    """A result that needs no change, or None when the plan is to be carried out."""
    if plan.refusal:
        return Result("expired" if plan.expired else "refused", plan.refusal, plan)
    if not plan.steps:
        return Result("nothing", plan.title, plan)
    if session.flags.dry_run:
        return Result("dry_run", "nothing was changed", plan)
    if plan.asks and not session.flags.yes and not session.terminal.confirm("Do this?"):
        return Result("refused", "not confirmed; without a terminal, --yes says yes", plan)
    return None


def carry_out(
    plan: Plan, session: Session, compose: Compose | None, busy: Path | None = None
) -> Result:
    """Step by step, until one fails; where the plan says so, also after it."""
    begun: list[tuple[Step, str, bool]] = []
    failed = ""
    with session.terminal.working(session.verb) as progress:
        hands = Hands(session.settings, session.engine, compose, progress, busy)
        for number, step in enumerate(plan.steps, 1):
            progress(f"[{number}/{len(plan.steps)}] {step.words}")
            try:
                words = step.act.do(hands)
            except EXPECTED as error:
                words = words_of(error)
                progress(f"that failed: {words}")
                begun.append((step, words, False))
                failed = failed or f"step {number} failed: {words}"
                if step.needed or not plan.goes_on:
                    break
            else:
                begun.append((step, words, True))
                if words:
                    session.terminal.say(words, indent=3)
    if failed:
        left = len(plan.steps) - len(begun)
        rest = f" ({left} step{'s' if left > 1 else ''} not begun)" if left else ""
        return Result("failed", failed + rest, plan, tuple(begun))
    return Result("done", plan.done, plan, tuple(begun))


def refuse(verb: str, words: str, *, as_json: bool) -> NoReturn:
    """End a verb that only shows something, and could not."""
    click.echo(words, err=True)
    if as_json:
        told = {"verb": verb, "outcome": "refused", "words": words}
        click.echo(json.dumps(told))
    raise SystemExit(1)


def words_of(error: BaseException) -> str:
    """An error as one line for a person."""
    if isinstance(error, OSError):
        return f"{error.filename or 'the output'}: {error.strerror or error}"
    return printable(str(error), 1000)


@contextlib.contextmanager
def _locked(plan: Plan, terminal: Terminal) -> Iterator[Path | None]:
    """The deployment's lock, where there is one and it can be taken. Raises LockHeldError.

    Gives the lock that others hold where the plan goes on all the same.
    """
    busy = None
    with contextlib.ExitStack() as stack:
        if plan.lock:
            who = f"pid {os.getpid()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            try:
                stack.enter_context(exclusive(plan.lock, who))
            except LockHeldError:
                if not plan.locked_by_others:
                    raise
                busy = plan.lock
            except OSError as error:
                # A full disk or a directory of someone else's must not keep an app down.
                terminal.say(f"without the lock of this deployment: {words_of(error)}")
        yield busy


@contextlib.contextmanager
def session_of(verb: str, flags: Flags, *, log: bool) -> Iterator[Session]:
    settings = settings_of(flags.config)
    terminal = Terminal(settings.log_dir if log else None, verbose=flags.verbose)
    engine = Engine(settings.docker_host)
    try:
        yield Session(verb, flags, settings, engine, terminal)
    finally:
        engine.close()
        terminal.close()


def settings_of(config: Path | None) -> RecoverySettings:
    """The settings, or the end of the program with their problems."""
    try:
        return read_settings(RecoverySettings, os.environ, config, strict=False)
    except SettingsError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        raise SystemExit(2) from error
