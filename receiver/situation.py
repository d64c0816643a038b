"""Gathers the facts that the gates ask for, for one step at one moment. Looks; changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from sqlite3 import Connection

from receiver import gates
from receiver.delivery import DeliveryError
from receiver.http import Http
from receiver.policy import Policy, Row
from receiver.prometheus import still_active
from receiver.records import AlertInstance, Incident, Step
from receiver.settings import ReceiverSettings
from receiver.store import incidents, steps
from receiver.verify import Confirmer
from target import roles, versions
from target.engine import Container, EngineError
from target.version_keeper import LedgerFile
from target.versions import Release

LEDGER = "versions.json"


@dataclass(frozen=True)
class History:
    """What the store knows about an incident and about the budgets."""

    incident: Incident
    alerts: Sequence[AlertInstance]
    steps: Sequence[Step]
    running: Sequence[Step]
    rollbacks: Sequence[Step]
    restarts: Sequence[Step]


def read_history(c: Connection, incident_id: int, now: datetime) -> History | None:
    """One consistent reading; None for an unknown incident."""
    incident = incidents.incident(c, incident_id)
    if incident is None:
        return None
    return History(
        incident=incident,
        alerts=incidents.alerts(c, incident_id),
        steps=steps.steps(c, incident_id),
        running=steps.running(c),
        rollbacks=steps.started(c, "rollback", now - timedelta(days=1)),
        restarts=steps.started(c, "restart", now - timedelta(hours=1)),
    )


@dataclass(frozen=True)
class RollbackTarget:
    """The release to go back to, or why there is none; and the one that runs."""

    release: Release | None
    running: Container | None
    words: str


class Lookout:
    """Puts together what the store, the Engine, Alertmanager and our own probes say."""

    def __init__(
        self, settings: ReceiverSettings, policy: Policy, confirmer: Confirmer, http: Http
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.confirmer = confirmer
        self._http = http

    async def facts(self, step: Step, history: History, now: datetime) -> gates.Facts:
        alert = _alert_of(step, history.alerts)
        row = self.policy.row(alert.labels, alert.severity) if alert else None
        containers, engine_words = await self._containers()
        target = (
            await self.target(containers)
            if step.action == "rollback"
            else RollbackTarget(None, None, "")
        )
        confirm = row.confirm if row else "none"
        about = [a for a in history.alerts if alert and a.name == alert.name]
        confirmation = (
            await self.confirmer.look(confirm, about)
            if step.action != "person"
            else await self.confirmer.look_all(self.policy, history.alerts)
        )
        return gates.Facts(
            now=now,
            action=step.action,
            alert=step.alert or "the incident",
            category=row.category if row else "health",
            confirm=confirm,
            alerts_firing=sum(a.firing for a in history.alerts),
            alertmanager_says=await self._alertmanager(history.alerts),
            switches=gates.Switches(
                auto_rollback_enabled=self.settings.auto_rollback_enabled,
                rollback_on_health_failure=self.settings.rollback_on_health_failure,
                rollback_on_performance_degradation=self.settings.rollback_on_performance_degradation,
                rollback_on_resource_exhaustion=self.settings.rollback_on_resource_exhaustion,
                dry_run=self.settings.dry_run,
            ),
            confirmation=confirmation,
            budget=self._budget(history),
            in_flight=_in_flight(step, history.running),
            incurable=await self._incurable(step, row),
            target=gates.Target(target.release is not None, target.words),
            destination=self._destination(step, containers, engine_words),
            destination_may_return=step.action == "restart" and containers is None,
        )

    async def target(self, containers: Sequence[Container] | None) -> RollbackTarget:
        """The ledger's last known good release other than the one that runs."""
        mine = roles.app_containers(containers, self.settings) if containers is not None else []
        if not mine:
            return RollbackTarget(
                None, None, "no container of APP_SERVICE is there to be rolled back"
            )
        current = mine[0]
        try:
            ledger = await asyncio.to_thread(LedgerFile(self.settings.state_dir / LEDGER).load)
        except OSError as error:
            return RollbackTarget(
                None, current, f"the version ledger cannot be read: {error.strerror}"
            )
        service = current.service
        good = versions.last_known_good(ledger, service, current.image_id)
        if good is None:
            return RollbackTarget(
                None,
                current,
                f"the ledger knows no good version of {service} other than the running one",
            )
        here = versions.running(ledger, service)
        if here and here.image_id == current.image_id and here.irreversible:
            return RollbackTarget(
                None,
                current,
                f"{here.title} is marked irreversible: an older version must not follow it",
            )
        return RollbackTarget(good, current, f"{good.title} was the last known good version")

    async def condemn(self, service: str, image_id: str) -> str:
        """A rollback left this image: never go back to it. What went wrong, in words; else empty."""
        file = LedgerFile(self.settings.state_dir / LEDGER)
        try:
            await asyncio.to_thread(
                file.update, lambda ledger: versions.condemn(ledger, service, image_id)
            )
        except OSError as error:
            return f" (the ledger could not be marked: {error.strerror})"
        return ""

    async def _incurable(self, step: Step, row: Row | None) -> str:
        """Uploads fail and requests err while the storage is away, whatever image runs."""
        if step.action != "rollback" or row is None or row.category != "performance":
            return ""
        storage = await self.confirmer.look("minio")
        return f"the storage is not well: {storage.words}" if storage.sick else ""

    async def _containers(self) -> tuple[list[Container] | None, str]:
        try:
            return await self.confirmer.containers(), ""
        except EngineError as error:
            return None, str(error)

    async def _alertmanager(self, alerts: Sequence[AlertInstance]) -> bool | None:
        url = self.settings.alertmanager_url
        firing = {alert.fingerprint for alert in alerts if alert.firing}
        if url is None or not firing:
            return None
        try:
            return await still_active(self._http, url, firing)
        except DeliveryError:
            return None  # the gate says in words that Alertmanager could not be asked

    def _budget(self, history: History) -> gates.Budget:
        return gates.Budget(
            cooldown=self.settings.cooldown,
            max_rollbacks_per_day=self.settings.max_rollbacks_per_day,
            max_restarts_per_hour=self.settings.max_restarts_per_hour,
            rollbacks_of_incident=sum(
                s.action == "rollback" and s.started_at is not None for s in history.steps
            ),
            rollbacks_last_day=len(history.rollbacks),
            restarts_last_hour=len(history.restarts),
            last_rollback_at=history.rollbacks[0].started_at if history.rollbacks else None,
        )

    def _destination(
        self, step: Step, containers: Sequence[Container] | None, engine_words: str
    ) -> str:
        if step.action == "rollback" and not (
            self.settings.github_token and self.settings.github_repo
        ):
            return "GITHUB_TOKEN and GITHUB_REPO are not set; on the host, type: sermon-recovery rollback"
        if step.action == "restart":
            if containers is None:
                return engine_words
            if not containers_of(containers, step.target, self.settings):
                return f"no container of {step.target.upper()}_SERVICE exists"
        return ""


def containers_of(
    containers: Sequence[Container], target: str, settings: ReceiverSettings
) -> list[Container]:
    """The containers of a step's target, ``app`` or ``minio``."""
    return (
        roles.minio_containers(containers, settings)
        if target == "minio"
        else roles.app_containers(containers, settings)
    )


def _alert_of(step: Step, alerts: Sequence[AlertInstance]) -> AlertInstance | None:
    """The instance whose row asked for the step: firing ones first (the store's order)."""
    return next((a for a in alerts if a.name == step.alert), None)


def _in_flight(step: Step, running: Sequence[Step]) -> str:
    for other in running:
        if other.id != step.id and other.action != "person":
            return f"a {other.action} is under way (incident {other.incident_id}{', ' + other.phase if other.phase else ''})"
    return ""
