"""The backup that is made before something is changed, and what is said where it cannot be made.

What loses nothing that is stored goes on without it: a full disk must not keep a person from an emergency
stop. What cannot be undone does not, unless a fresh one is there or --without-backup says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import click

from recovery.backup.create_command import has_room, plan_for
from recovery.backup.reading import stamp
from recovery.backup.shelf import Found, age_words, is_fresh, newest, shelf
from recovery.deployments import Facts
from recovery.run import EXPECTED, Session, words_of
from recovery.steps import Act, Hands, Plan, Step

without_backup = click.option(
    "--without-backup",
    is_flag=True,
    help="Go on although no backup can be made first and there is no fresh one.",
)

FAILED = "no backup could be made"


@dataclass(frozen=True)
class First:
    step: Step | None
    notes: tuple[str, ...]
    refusal: str = ""


@dataclass(frozen=True)
class Saved:
    """The acts of a backup. ``needed``: a failure ends the plan."""

    acts: tuple[Act, ...]
    needed: bool

    def do(self, hands: Hands) -> str:
        try:
            return next(filter(None, [act.do(hands) for act in self.acts]), "")
        except EXPECTED as error:
            if self.needed:
                raise
            return f"{FAILED}: {words_of(error)}"


def before(session: Session, facts: Facts, verb: str, *, needed: bool) -> First:
    """What to do first, what to say, and with ``needed`` why it may not be done at all."""
    now = datetime.now(UTC)
    try:
        found = shelf(session.settings.backup_dir)
    except OSError as error:
        found, age = [], f"whether there is a backup cannot be seen: {words_of(error)}"
    else:
        age = age_words(found, now)
    plan = plan_for(session, facts, f"before-{verb}-{stamp()}", "before", data=False)
    fresh = is_fresh(newest(found), now, session.settings.backup_fresh)
    return decided(plan, age, needed=needed and not fresh)


def decided(plan: Plan, age: str, *, needed: bool) -> First:
    """Pure."""
    if not plan.refusal:
        acts = tuple(step.act for step in plan.steps)
        words = plan.title.replace("save", "first save", 1)
        step = Step(words, Saved(acts, needed), undo=plan.steps[0].undo, needed=needed)
        return First(step, (age,))
    words = f"no backup can be made first: {plan.refusal}"
    if needed:
        return First(None, (age,), f"{words}; {age}. --without-backup goes on all the same")
    return First(None, (words, age))


def saved_first(session: Session, facts: Facts, verb: str, plan: Plan) -> Plan:
    """``plan``, of what loses nothing that is stored, with a backup before it."""
    if plan.refusal or not plan.steps:
        return plan
    first = before(session, facts, verb, needed=False)
    steps = (first.step, *plan.steps) if first.step else plan.steps
    return replace(plan, steps=steps, notes=(*first.notes, *plan.notes))


def fresh_first(session: Session, facts: Facts, verb: str, plan: Plan, *, told: bool) -> Plan:
    """``plan``, of what makes room and cannot be undone, with a backup before it where there is no fresh one.

    Refused where there is none and none can be made, unless ``told`` to go on all the same, or the disk has no
    room for one: then this is what makes it.
    """
    if plan.refusal or not plan.steps:
        return plan
    if _is_there(session):  # a full disk need not hold another one
        return replace(plan, notes=(*plan.notes, shown_age(session)))
    needed = not told and has_room(session, facts)
    first = before(session, facts, verb, needed=needed)
    notes = (*plan.notes, *first.notes)
    if first.refusal:
        return Plan(plan.title, notes=notes, refusal=first.refusal)
    return replace(plan, steps=(*([first.step] if first.step else []), *plan.steps), notes=notes)


def _is_there(session: Session) -> bool:
    """Whether there is a fresh one."""
    try:
        found = shelf(session.settings.backup_dir)
    except OSError:
        return False
    return is_fresh(newest(found), datetime.now(UTC), session.settings.backup_fresh)


def shown_age(session: Session) -> str:
    """How old the newest backup is, for whom it may concern."""
    try:
        return age_words(shelf(session.settings.backup_dir), datetime.now(UTC))
    except OSError as error:
        return f"whether there is a backup cannot be seen: {words_of(error)}"


def fresh_or_refusal(session: Session, found: list[Found], told: bool) -> str:
    """Why what cannot be undone may not be done: no fresh backup; empty where it may."""
    now = datetime.now(UTC)
    if told or is_fresh(newest(found), now, session.settings.backup_fresh):
        return ""
    return f"{age_words(found, now)}: sermon-recovery backup-create first, or --without-backup"
