"""Whether the application's growth since its deployment explains that the machine runs short."""

from __future__ import annotations

import asyncio
from datetime import datetime

from receiver.deciding import growth
from receiver.deciding.policy import Row
from receiver.http import Http
from receiver.settings import ReceiverSettings
from receiver.verify import Confirmer
from target import roles
from target.engine import EngineError
from target.version_keeper import LedgerFile
from target.versions import running

LEDGER = "versions.json"


class Cures:
    """Asks the Engine, the ledger and Prometheus."""

    def __init__(self, settings: ReceiverSettings, confirmer: Confirmer, http: Http) -> None:
        self._settings = settings
        self._confirmer = confirmer
        self._http = http

    async def unexplained(self, row: Row, now: datetime) -> str:
        """Why a shortage is not explained by it, in words; empty where it is, or where the row does not ask."""
        if not row.growth:
            return ""
        try:
            containers = await self._confirmer.containers()
        except EngineError as error:
            return str(error)
        apps = roles.app_containers(containers, self._settings)
        service = apps[0].service if apps else ""
        found = await growth.look(
            self._http,
            self._settings.prometheus_url,
            row.growth,
            frozenset(one.name for one in apps),
            await asyncio.to_thread(self._deployed, service),
            self._threshold(row.growth),
            now,
            self._settings.own_host,
        )
        return "" if found.explained else found.words

    def _threshold(self, resource: growth.Resource) -> float:
        limit = self._settings
        return limit.memory_usage_threshold if resource == "memory" else limit.cpu_usage_threshold

    def _deployed(self, service: str) -> datetime | None:
        try:
            ledger, _ = LedgerFile(self._settings.state_dir / LEDGER).read()
        except OSError:
            return None
        here = running(ledger, service)
        return here.since if here else None
