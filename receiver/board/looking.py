"""Our own look at the deployment and the machine, for *now*. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from receiver.deciding.gates import Confirmation
from receiver.host_state import Disk, disks
from receiver.rollback.way_back import LEDGER
from receiver.settings import ReceiverSettings
from receiver.verify import Confirmer
from target.backups import newest_backup
from target.engine import EngineError
from target.version_keeper import LedgerFile
from target.versions import Ledger

ELSEWHERE = "it is on another machine (MACHINE=elsewhere)"


@dataclass(frozen=True)
class Sight:
    """What our own look at the deployment and the machine found."""

    application: Confirmation
    minio: Confirmation
    engine: str = ""
    """Why the Docker Engine does not answer, in words; empty where it does."""
    containers: int = 0
    """How many run."""
    disks: Sequence[Disk] = ()
    backup: datetime | None = None
    backup_trouble: str = ""
    """Why the backups cannot be seen, in words."""
    ledger: Ledger = field(default_factory=Ledger)


async def look(settings: ReceiverSettings, confirmer: Confirmer) -> Sight:
    """Ask the application, MinIO, the Engine and the machine, all at once. Changes nothing."""
    application, minio, engine, rest = await asyncio.gather(
        confirmer.look("probe"),
        confirmer.look("minio"),
        _engine(confirmer),
        asyncio.to_thread(_machine, settings),
    )
    words, running = engine
    found, backup, trouble, ledger = rest
    return Sight(application, minio, words, running, found, backup, trouble, ledger)


async def _engine(confirmer: Confirmer) -> tuple[str, int]:
    try:
        found = await confirmer.containers()
    except EngineError as error:
        return str(error), 0
    return "", sum(one.running for one in found)


def _machine(
    settings: ReceiverSettings,
) -> tuple[list[Disk], datetime | None, str, Ledger]:
    if settings.machine == "elsewhere":
        return [], None, ELSEWHERE, read_ledger(settings)
    places = ("/", str(settings.compose_project_dir), str(settings.backup_dir))
    found = [one for one in disks(settings.rootfs, places) if one.total or one.path == "/"]
    backup, trouble = None, ""
    try:
        made = newest_backup(settings.backup_dir)
        backup = None if made is None else datetime.fromtimestamp(made, UTC)
    except OSError as error:
        trouble = f"{settings.backup_dir}: {error.strerror}"
    return found, backup, trouble, read_ledger(settings)


def read_ledger(settings: ReceiverSettings) -> Ledger:
    """Empty where it cannot be read: ``check`` says what is wrong with it."""
    try:
        return LedgerFile(settings.state_dir / LEDGER).read()[0]
    except OSError:
        return Ledger()
