"""``explain`` and ``replay``: what would happen, asked of the same code that does it, and doing nothing."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from receiver.board.outlook import alert_from
from receiver.deciding import gates
from receiver.deciding.decision import Decision, asked
from receiver.deciding.policy import Policy, load_policy
from receiver.deciding.situation import Lookout
from receiver.equipment import build_github, policy_path
from receiver.hearing.alertmanager import Alert, Webhook
from receiver.hearing.intake import Intake, accept
from receiver.hearing.sorting import ALL, Share, sort
from receiver.http import Http, open_session
from receiver.maintenance.calendar import Calendar
from receiver.maintenance.windows import open_recurring
from receiver.records import Step
from receiver.store import incidents, steps
from receiver.store.history import read_history
from receiver.verify import Confirmer
from sermon_monitor import store_file
from sermon_monitor.settings import Settings
from target.engine import Engine


async def explain(
    settings: Settings, name: str, labels: Mapping[str, str], share: Share = ALL
) -> dict[str, Any]:
    """What this alert would do right now: decision, steps with their times, every gate's verdict.

    ``share``: of one of several deployments; the labels that make an alert its own go without saying.
    """
    policy = load_policy(policy_path(settings), settings.own_host)
    alert = alert_from(name, {**share.match, **labels}, policy)
    webhook = Webhook(
        version="4", group_key="explain", status="firing", receiver="explain", alerts=[alert]
    )
    (told,) = await replay(settings, webhook)
    return told


async def replay(settings: Settings, webhook: Webhook, share: Share = ALL) -> list[dict[str, Any]]:
    """What a body would do: taken into a copy of the store in memory, then every gate is asked.

    ``share``: what of it is this deployment's; of the rest nothing is told.
    """
    policy = load_policy(policy_path(settings), settings.own_host)
    if share.claims:
        apart = sort(webhook, [share], {share.name: policy.heartbeat})
        webhook = apart.parts.get(share.name, webhook.model_copy(update={"alerts": []}))
    intake = Intake(
        policy=policy,
        notifier="dry",
        flap_window=settings.flap_window,
        minio_service=settings.minio_service,
    )
    copy = _copy_of_store(settings)
    try:
        now = datetime.now(UTC)
        open_recurring(copy, Calendar(policy.maintenance, settings.zone), now)
        taken = accept(copy, intake, webhook, now)
        async with _lookout(settings, policy) as lookout:
            return [await _told(copy, lookout, alert, decision) for alert, decision in taken]
    finally:
        copy.close()


def _copy_of_store(settings: Settings) -> sqlite3.Connection:
    if not store_file.exists(settings.store):
        return store_file.in_memory()
    with store_file.looking(settings.store) as original:
        return store_file.in_memory(original)


@contextlib.asynccontextmanager
async def _lookout(settings: Settings, policy: Policy) -> AsyncIterator[Lookout]:
    engine = Engine(settings.docker_host)
    async with open_session() as calls:
        http = Http(calls)
        try:
            github = build_github(settings, http)
            yield Lookout(settings, policy, Confirmer(settings, engine, http), http, github)
        finally:
            engine.close()


async def _told(
    copy: sqlite3.Connection, lookout: Lookout, alert: Alert, decision: Decision
) -> dict[str, Any]:
    incident = incidents.open_of(copy, alert.service)
    row = lookout.policy.row(alert.labels, alert.severity)
    wanted = asked(row, alert.labels, lookout.settings.minio_service)
    every = steps.steps(copy, incident.id) if incident and alert.status == "firing" else []
    newest = {(s.action, s.target): s for s in every if (s.action, s.target) in wanted}.values()
    beats = decision.kind == "heartbeat"
    return {
        "alert": alert.name,
        "status": alert.status,
        "labels": alert.labels,
        "decision": decision.kind,
        "reason": decision.reason,
        "row": None if beats else row.model_dump(mode="json"),
        "steps": [await _judged(copy, lookout, s) for s in newest if s.state == "pending"],
        "begun": [
            {"action": s.action, "target": s.target, "state": s.state, "words": s.words}
            for s in newest
            if s.state != "pending" and not beats
        ],
    }


async def _judged(copy: sqlite3.Connection, lookout: Lookout, step: Step) -> dict[str, Any]:
    now = datetime.now(UTC)
    history = read_history(copy, step.incident_id, now)
    if history is None:
        raise LookupError(f"no incident {step.incident_id}")
    facts, verdict = await lookout.judge(step, history, now)
    zero = history.incident.ladder_at or history.incident.opened_at
    return {
        "action": step.action,
        "target": step.target,
        "after": (step.due_at - zero).total_seconds(),
        "verdict": asdict(verdict),
        "gates": [asdict(verdict) for verdict in gates.judge_all(facts)],
    }


__all__ = ["alert_from", "explain", "replay"]
