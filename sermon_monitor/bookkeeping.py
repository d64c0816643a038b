"""Keeps a deployment's ledger of versions: which one runs, and whether it proves good."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

import structlog

from receiver.clock import Clock
from receiver.rollback.way_back import LEDGER
from receiver.service import Receiver
from receiver.store.database import StoreError
from target import roles, versions
from target.discovery import Discovery
from target.engine import Engine, EngineError
from target.version_keeper import LedgerFile, LedgerKeeper

log = structlog.get_logger("serve")
Role = Literal["app", "minio"]
LEDGER_STEP = timedelta(seconds=15)
"""How often the ledger looks at what runs; GOOD_AFTER is counted in these steps."""


class Bookkeeper:
    """Good is: healthy for GOOD_AFTER with no critical incident, as ``receiver`` says."""

    def __init__(
        self, receiver: Receiver, engine: Engine, discovery: Discovery, clock: Clock
    ) -> None:
        self._receiver = receiver
        self._discovery = discovery
        self._clock = clock
        settings = receiver.settings
        self._pause = min(LEDGER_STEP, settings.good_after / 5).total_seconds()
        file = LedgerFile(settings.state_dir / LEDGER)
        # In a dry run nothing on the machine's Docker is changed, local tags included.
        self._keepers: Mapping[Role, LedgerKeeper] = {
            role: LedgerKeeper(file, engine, settings.good_after, keep_images=not settings.dry_run)
            for role in ("app", "minio")
        }

    async def run(self) -> None:
        while True:
            generation = self._discovery.generation
            if self._discovery.connected:
                try:
                    for role, keeper in self._keepers.items():
                        await self._step(role, keeper)
                except (EngineError, OSError, StoreError) as error:
                    log.warning(
                        "the version ledger could not be brought up to date", problem=str(error)
                    )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._pause, 0.2)):
                    await self._discovery.wait_change(generation)

    async def _step(self, role: Role, keeper: LedgerKeeper) -> None:
        """What is the application's is not counted as MinIO's too."""
        settings, containers = self._receiver.settings, self._discovery.containers
        mine = roles.app_containers(containers, settings)
        if role == "minio":
            apps = {one.id for one in mine}
            storage = roles.minio_containers(containers, settings)
            mine = [one for one in storage if one.id not in apps]
        if mine or role == "app":
            looks = await self._receiver.looks_healthy(role)
            ledger = await asyncio.to_thread(keeper.step, mine, looks, self._clock.now())
            for release in versions.deployments(ledger):
                if release.until is None and role == "app":
                    await self._receiver.deployed(release)
