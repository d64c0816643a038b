"""Gathers the facts that the gates ask for, for one step at one moment. Looks; changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from receiver import emergency
from receiver.approving import questions
from receiver.approving.approvals import latest
from receiver.deciding import gates
from receiver.deciding.causes import Causes
from receiver.deciding.curable import Cures
from receiver.deciding.decision import asked
from receiver.deciding.in_flight import under_way
from receiver.deciding.policy import Policy, Row
from receiver.deciding.ways import Ways, as_fact
from receiver.garbage import Garbage
from receiver.github.client import GitHub
from receiver.hearing.prometheus import still_active
from receiver.http import Http
from receiver.maintenance.calendar import Calendar
from receiver.maintenance.windows import words_of
from receiver.records import (
    AlertInstance,
    Ask,
    Step,
)
from receiver.rollback.route import Router
from receiver.rollback.way_back import RollbackTarget, WayBack
from receiver.settings import ReceiverSettings
from receiver.store.history import History
from receiver.telling.delivery import DeliveryError
from receiver.verify import Confirmer
from target import roles
from target.durations import format_duration
from target.engine import Container, EngineError


class Lookout:
    """Puts together what the store, the Engine, Alertmanager and our own probes say."""

    def __init__(
        self,
        settings: ReceiverSettings,
        policy: Policy,
        confirmer: Confirmer,
        http: Http,
        github: GitHub | None = None,
    ) -> None:
        self.settings = settings
        self.policy = policy
        self.confirmer = confirmer
        self.way_back = WayBack(settings, confirmer, github)
        self._cures = Cures(settings, confirmer, http)
        self.garbage = Garbage(settings, confirmer.engine)
        self.causes = Causes(settings, policy.timing, confirmer, http, self.way_back)
        self.router = Router(settings, policy.local_fallback, confirmer.engine, github)
        self.ways = Ways(self.router, self.way_back)
        self._http = http
        self.calendar = Calendar(policy.maintenance, settings.zone)
        self.doubt: Callable[[str], None] = lambda _why: None
        """Called with a reason when our record and Alertmanager disagree."""

    async def judge(
        self, step: Step, history: History, now: datetime
    ) -> tuple[gates.Facts, gates.Verdict]:
        """The verdict on a step: by every firing alert that asks for it; the most permitting one counts."""
        facts, found = await self._gather(step, history, now)
        judged = [await self.ways.judge(step, one, found) for one in facts]
        return min(judged, key=lambda one: gates.OUTCOMES.index(one[1].outcome))

    async def _gather(
        self, step: Step, history: History, now: datetime
    ) -> tuple[list[gates.Facts], RollbackTarget | None]:
        """The facts for a step, once for each row that asks for it; once where none does any more.

        And where a rollback would go, by what is known here; None for every other step.
        """
        asking = self._asking(step, history.alerts)
        common, question, found = await self._common(step, history, asking, now)
        if step.action == "person":
            return [replace(common, confirmation=await self.look_at_end(history))], found
        rows = {id(row): row for row in (self._row(alert) for alert in asking)}
        by_row = [await self._by_row(common, question, step, row, asking) for row in rows.values()]
        return by_row or [common], found

    async def _by_row(
        self,
        common: gates.Facts,
        question: Ask,
        step: Step,
        row: Row,
        asking: Sequence[AlertInstance],
    ) -> gates.Facts:
        about = [alert for alert in asking if self._row(alert) is row]
        table = asked(row, about[0].labels, self.settings.minio_service)
        planned = table.get((step.action, step.target))
        asks = planned is None or planned.ask  # an emergency stop is in no row, and always asked
        rolls = step.action == "rollback"
        destination = common.destination
        if step.action == "cleanup" and not destination:
            destination = await self._no_room(step, question, about)
        return replace(
            common,
            destination=destination,
            ask=replace(question, why=question.why or f"{row.alert} fires", rings=row.mention)
            if asks
            else None,
            alert=row.alert,
            category=row.category,
            confirm=row.confirm,
            confirmation=await self.confirmer.look(row.confirm, about),
            incurable=await self.causes.incurable(step, row, common.now),
            unexplained=await self._cures.unexplained(row, common.now) if rolls else "",
        )

    async def _common(
        self, step: Step, history: History, asking: Sequence[AlertInstance], now: datetime
    ) -> tuple[gates.Facts, Ask, RollbackTarget | None]:
        """What is the same for every row; what a person would be asked, should a row ask; where a rollback goes."""
        containers, engine_words = await self._containers()
        found = None
        if step.action == "rollback":
            found = (
                await self.way_back.remembered(containers, step.target)
                if containers is not None
                else RollbackTarget(None, engine_words, may_return=True)
            )
        question = await self._question(step, containers, engine_words, now)
        facts = gates.Facts(
            now=now,
            action=step.action,
            alert=step.alert or "the incident",
            category="health",
            confirm="none",
            alerts_firing=len(asking),
            alertmanager_says=await self._alertmanager(asking),
            switches=gates.Switches(
                auto_rollback_enabled=self.settings.auto_rollback_enabled,
                rollback_on_health_failure=self.settings.rollback_on_health_failure,
                rollback_on_performance_degradation=self.settings.rollback_on_performance_degradation,
                rollback_on_resource_exhaustion=self.settings.rollback_on_resource_exhaustion,
                dry_run=self.settings.dry_run,
                emergency_stop_on_critical=self.settings.emergency_stop_on_critical,
            ),
            confirmation=gates.Confirmation(None, ""),
            budget=self._budget(history),
            in_flight=under_way(step, history.running)
            or emergency.in_force(step, history.stops, containers or (), self.settings),
            incurable="",
            target=as_fact(found) if found else gates.Target(False, ""),
            destination=self._destination(step, containers, engine_words),
            maintenance=words_of(history.window, self.settings.zone),
            destination_may_return=step.action == emergency.ACTION
            or (step.action in ("restart", "cleanup") and containers is None),
            approval=latest(history.approvals, step),
            zone=self.settings.zone,
        )
        return facts, question, found

    async def _question(
        self, step: Step, seen: Sequence[Container] | None, engine_words: str, now: datetime
    ) -> Ask:
        """What a person would be asked, should a row ask. The row adds why, the gate a rollback's target."""
        containers = seen or ()
        if step.action == "rollback":
            return questions.rollback(roles.app_containers(containers, self.settings))
        if (step.action, step.target) == ("cleanup", "images"):
            try:
                old = await asyncio.to_thread(self.garbage.old_versions, now)
            except EngineError:
                old = ()  # the gate "destination" says it
            return questions.old_versions(old)
        if step.action == emergency.ACTION and seen is None and self.router.preflight is not None:
            return questions.stop_elsewhere(emergency.BY_GITHUB, engine_words)
        if step.action == emergency.ACTION:
            return questions.stop(emergency.live(containers, self.settings))
        return questions.restart(step.action, containers_of(containers, step.target, self.settings))

    def asking(self, alerts: Sequence[AlertInstance]) -> list[AlertInstance]:
        """The firing alerts that ask for any step."""
        return [a for a in alerts if a.firing and self.policy.asks(a.labels, a.severity)]

    async def look_at_end(self, history: History) -> gates.Confirmation:
        """Our own look when nothing that asks for steps fires: at that; at all where nothing asked."""
        about = [a for a in history.alerts if self.policy.asks(a.labels, a.severity)]
        return await self.confirmer.look_all(self.policy, about or history.alerts)

    def wanted(self, step: Step, history: History) -> bool:
        """Whether an alert that fires asks for a step."""
        return bool(self._asking(step, history.alerts))

    def _row(self, alert: AlertInstance) -> Row:
        return self.policy.row(alert.labels, alert.severity)

    def _asking(self, step: Step, alerts: Sequence[AlertInstance]) -> list[AlertInstance]:
        """The firing alerts whose row asks for this step; for a person, for any step."""
        firing = [alert for alert in alerts if alert.firing]
        if step.action == "person":
            return self.asking(alerts)
        if step.action == emergency.ACTION:
            return [alert for alert in self.asking(alerts) if alert.severity == "critical"]
        wanted, minio = (step.action, step.target), self.settings.minio_service
        return [a for a in firing if wanted in asked(self._row(a), a.labels, minio)]

    async def _no_room(self, step: Step, question: Ask, about: Sequence[AlertInstance]) -> str:
        """Why a clean-up would give no room on the disks that are full, in words."""
        if step.target == "images" and not question.subject:
            after = format_duration(self.settings.cleanup_images_after)
            return f"no unused version of the application is older than {after}"
        try:
            words = [
                await asyncio.to_thread(self.garbage.elsewhere, alert.labels.get("mountpoint", ""))
                for alert in about
            ]
        except EngineError as error:
            return str(error)
        return "" if "" in words else "; ".join(words)

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
            active = await still_active(self._http, url, firing)
        except DeliveryError:
            return None  # the gate says in words that Alertmanager could not be asked
        if not active:
            self.doubt("Alertmanager no longer has what fires here")
        return active

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
        if step.action == "cleanup" and containers is None:
            return engine_words
        if step.action == emergency.ACTION:
            return self._nothing_to_stop(containers, engine_words)
        if step.action == "restart":
            if containers is None:
                return engine_words
            if not containers_of(containers, step.target, self.settings):
                return f"no container of {step.target.upper()}_SERVICE exists"
        return ""

    def _nothing_to_stop(self, containers: Sequence[Container] | None, engine_words: str) -> str:
        if containers is None:
            return "" if self.router.preflight is not None else engine_words
        return (
            "" if emergency.live(containers, self.settings) else "nothing of the application runs"
        )


def containers_of(
    containers: Sequence[Container], target: str, settings: ReceiverSettings
) -> list[Container]:
    """The containers of a step's target, ``app`` or ``minio``."""
    return roles.of_target(containers, target, settings)
