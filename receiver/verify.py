"""Our own look at the deployment: before a step (is it really broken?) and after it (is it well?)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from receiver.deciding.gates import Confirmation
from receiver.deciding.policy import Confirm, Policy
from receiver.hearing.prometheus import rule_result
from receiver.http import Http
from receiver.records import AlertInstance
from receiver.settings import ReceiverSettings
from receiver.telling.delivery import DeliveryError
from target import roles
from target.engine import Container, Engine, EngineError, Image
from target.probe import probe

PROBE_SECONDS = 10.0


class Confirmer:
    """Asks the health endpoint, MinIO, the Engine or Prometheus, as the policy's row says."""

    def __init__(self, settings: ReceiverSettings, engine: Engine, http: Http) -> None:
        self._settings = settings
        self.engine = engine
        self._http = http

    async def look(self, confirm: Confirm, alerts: Sequence[AlertInstance] = ()) -> Confirmation:
        """One look. ``alerts``: those whose rules a ``signal`` asks Prometheus about."""
        match confirm:
            case "probe":
                url = self._settings.app_url + self._settings.app_health_path
                return await self._probe(url, self._settings.app_health_body)
            case "minio":
                return await self._minio()
            case "container":
                return await self._containers()
            case "signal":
                return await self._signal(alerts)
            case "none":
                return Confirmation(False, "nothing to confirm")

    async def look_all(self, policy: Policy, alerts: Sequence[AlertInstance]) -> Confirmation:
        """All looks that an incident's alerts ask for: sick as soon as one is."""
        wanted: dict[Confirm, list[AlertInstance]] = {}
        for alert in alerts:
            wanted.setdefault(policy.row(alert.labels, alert.severity).confirm, []).append(alert)
        wanted.pop("none", None)
        seen = [await self.look(confirm, about) for confirm, about in wanted.items()]
        return (
            _worst(seen)
            if seen
            else Confirmation(False, "Alertmanager's word; nothing else to ask")
        )

    async def containers(self) -> list[Container]:
        """Everything the Engine has. Raises EngineError."""
        return await asyncio.to_thread(self.engine.containers)

    async def inspect(self, container_id: str) -> Mapping[str, Any]:
        """All that the Engine says of a container. Raises EngineError."""
        return await asyncio.to_thread(self.engine.inspect, container_id)

    async def image(self, image_id: str) -> Image:
        """A local image. Raises EngineError."""
        return await asyncio.to_thread(self.engine.image, image_id)

    async def _probe(self, url: str, expected_body: str = "") -> Confirmation:
        result = await probe(url, PROBE_SECONDS, expected_body=expected_body)
        if result.healthy:
            return Confirmation(False, f"{url} answers {result.detail}")
        return Confirmation(True, f"{url} fails: {result.detail}")

    async def _minio(self) -> Confirmation:
        live = await self._probe(
            self._settings.minio_url + self._settings.minio_health_path,
            self._settings.minio_health_body,
        )
        cluster = await self._probe(self._settings.minio_url + "/minio/health/cluster")
        return _worst([live, cluster])

    async def _containers(self) -> Confirmation:
        try:
            found = await self.containers()
        except EngineError as error:
            return Confirmation(None, str(error))
        mine = roles.app_containers(found, self._settings) + roles.minio_containers(
            found, self._settings
        )
        return _container_words(mine)

    async def _signal(self, alerts: Iterable[AlertInstance]) -> Confirmation:
        url = self._settings.prometheus_url
        if url is None:
            return Confirmation(
                None, "PROMETHEUS_URL is not set: the signal cannot be asked for", unaskable=True
            )
        for alert in alerts:
            try:
                if await rule_result(self._http, url, alert.name, dict(alert.labels)):
                    return Confirmation(
                        True, f"Prometheus: the expression of {alert.name} is true now"
                    )
            except (DeliveryError, LookupError, KeyError, TypeError) as error:
                return Confirmation(None, f"Prometheus could not be asked: {error}")
        return Confirmation(False, "Prometheus: no expression of these alerts is true now")


def _container_words(mine: Sequence[Container]) -> Confirmation:
    if not mine:
        return Confirmation(True, "no container of APP_SERVICE or MINIO_SERVICE exists")
    sick = [
        f"{c.name} is {c.health if c.running else c.state}"
        for c in mine
        if not c.running or c.health == "unhealthy"
    ]
    if sick:
        return Confirmation(True, ", ".join(sick))
    return Confirmation(False, ", ".join(f"{c.name} runs" for c in mine))


def _worst(seen: Sequence[Confirmation]) -> Confirmation:
    """What is sick, else what could not be told but may be later, else what cannot be asked at all."""
    for one in sorted(seen, key=lambda s: (s.sick is not True, s.unaskable)):
        if one.sick is not False:
            return one
    return Confirmation(False, "; ".join(one.words for one in seen))
