"""What the end of a step means for the other steps of its incident."""

from __future__ import annotations

from datetime import datetime
from sqlite3 import Connection

from receiver import emergency
from receiver.deciding import pacing
from receiver.deciding.policy import Policy
from receiver.records import Step
from receiver.settings import ReceiverSettings


def after(
    c: Connection, step: Step, policy: Policy, settings: ReceiverSettings, now: datetime
) -> None:
    """In the transaction that ended ``step``, which is given as it was before."""
    pacing.keep_apart(c, step, policy, settings)
    emergency.propose(c, step.id, settings, now)
