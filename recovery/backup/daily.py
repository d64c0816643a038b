"""backup-daily: what a timer runs each day: a backup with the sermons, thinning out, and each month a drill."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NoReturn

import click

from recovery.backup.create_command import plan_for
from recovery.backup.drill import plan_drill
from recovery.backup.prune import plan_prune
from recovery.backup.reading import stamp
from recovery.deployments import gather
from recovery.options import changes
from recovery.run import Flags, Session, change, settings_of
from recovery.steps import Act, Hands, Plan, Step, StepError
from target.backups import read_status

DRILL_DAYS = 30
_LONGEST = timedelta(hours=26)
"""From one to the next."""
_LOOK_SECONDS = 60.0
"""Between two looks at the clock, which may be set meanwhile."""


@click.command("backup-daily", epilog="Example: sermon-recovery backup-daily --at 03:30")
@click.option(
    "--at",
    type=click.DateTime(["%H:%M"]),
    metavar="HH:MM",
    help="Stay, and do it every day at this time; at once where the last one is older than a day.",
)
@click.option("--without-data", is_flag=True, help="The configuration alone.")
@click.option("--without-drill", is_flag=True, help="Leave the monthly drill to another timer.")
@changes
def backup_daily(
    flags: Flags, at: datetime | None, without_data: bool, without_drill: bool
) -> None:
    """Make the daily backup, remove what is too old, and every 30 days try to restore.

    Meant for a timer (sermon-monitor install-units has one), or with --at for a container.
    """

    def plan(session: Session) -> Plan:
        return plan_daily(session, data=not without_data, drill=not without_drill)

    def run() -> NoReturn:
        change("backup-daily", replace(flags, yes=True), plan)

    if at is None:
        run()
    due = following(_wall_clock(), at) if _made_today(flags) else _wall_clock()
    while True:
        while (now := _wall_clock()) < due:
            due = still_due(now, due, at)
            time.sleep(_LOOK_SECONDS)
        try:
            run()
        except SystemExit as ended:
            if ended.code == 2:
                raise
        due = following(_wall_clock(), at)


def _wall_clock() -> datetime:
    """As it hangs on the wall, without an offset: so an hour that comes twice in autumn brings no second backup."""
    return datetime.now().astimezone().replace(tzinfo=None)


def _made_today(flags: Flags) -> bool:
    """Whether a backup is there that a start now need not repeat."""
    try:
        status = read_status(settings_of(flags.config).backup_dir)
    except OSError:
        return False
    last = status.newest_with_data or status.newest
    return last is not None and 0 <= time.time() - last.at < 86400


def following(now: datetime, at: datetime) -> datetime:
    """The next time of day ``at`` after ``now``. Pure."""
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def still_due(now: datetime, due: datetime, at: datetime) -> datetime:
    """``due``, but for a clock that was set back by more than the hour of autumn: nobody waits for its old time. Pure."""
    return following(now, at) if due - now > _LONGEST else due


def plan_daily(session: Session, *, data: bool, drill: bool) -> Plan:
    facts = gather(session)
    made = plan_for(session, facts, f"daily-{stamp()}", "daily", data=data)
    if made.refusal:
        return made
    # What cannot be removed keeps the backup from being tried as little as the other way round.
    steps = [
        *(replace(one, needed=True) for one in made.steps),
        Step("remove the backups that are too old", Prune(session)),
    ]
    if drill and _drill_due(session):
        steps.append(Step("try to restore it: the monthly drill", LaterDrill(session)))
    title = made.title.replace("save", "each day: save", 1)
    return replace(made, title=title, steps=tuple(steps), goes_on=True)


class Prune:
    """Planned once the new backup is there."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def do(self, hands: Hands) -> str:
        return _carried(plan_prune(self._session), hands)


class LaterDrill:
    """The same."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def do(self, hands: Hands) -> str:
        return _carried(plan_drill(self._session), hands)


def _carried(plan: Plan, hands: Hands) -> str:
    if plan.refusal:
        raise StepError(plan.refusal)
    acts: tuple[Act, ...] = tuple(step.act for step in plan.steps)
    return "; ".join(filter(None, (act.do(hands) for act in acts))) or plan.title


def _drill_due(session: Session) -> bool:
    directory = session.settings.backup_dir
    drill = read_status(directory).drill
    return drill is None or not 0 <= time.time() - drill.at <= DRILL_DAYS * 86400
