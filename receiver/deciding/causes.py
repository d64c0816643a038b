"""What else may be the cause, so that an older image would cure nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from receiver.deciding.policy import Row
from receiver.deciding.timing import Timing
from receiver.hearing.prometheus import is_true, on_host, values
from receiver.http import Http
from receiver.records import Step
from receiver.rollback.way_back import WayBack
from receiver.settings import ReceiverSettings
from receiver.telling.delivery import DeliveryError
from receiver.verify import Confirmer
from target import roles
from target.durations import format_duration
from target.engine import Container, EngineError

LEAST_ROOM = 0.05
"""Share of a disk that must be free for other users than root: with less, MinIO itself refuses to write."""
ROOM = (
    'node_filesystem_avail_bytes{job="sermon-uploader"}'
    ' / node_filesystem_size_bytes{job="sermon-uploader"}'
)
ENGINE_DIRECTORY = "/var/lib/docker"
"""Where a container without a mount of its own writes to."""


def room_on(paths: Sequence[str], shares: Mapping[str, float]) -> str:
    """Why there may be too little room, in words; empty where every path's disk has enough. Pure.

    ``shares``: what is free of each mount point. A path belongs to the longest one that it lies below.
    """
    for path in paths:
        mount = max((one for one in shares if _below(path, one)), key=len, default=None)
        if mount is None:
            return f"the room on the disk of {path} is not known"
        if shares[mount] < LEAST_ROOM:
            return f"the disk of {path} ({mount}) has {shares[mount]:.1%} left: no image cures that"
    return ""


def written_to(inspection: Mapping[str, Any]) -> tuple[str, ...]:
    """Where on the host a container may write to outside of itself. Pure. Raises EngineError."""
    try:
        return tuple(
            str(mount["Source"])
            for mount in inspection.get("Mounts") or ()
            if mount.get("RW") and mount.get("Source")
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError(
            f"the Engine's answer about mounts cannot be read: {error!r}"[:200]
        ) from error


def _below(path: str, mount: str) -> bool:
    inside = path == mount or path.startswith(mount.rstrip("/") + "/")
    return mount.startswith("/") and inside


class Causes:
    """Asks our own looks, the ledger and Prometheus."""

    def __init__(
        self,
        settings: ReceiverSettings,
        timing: Timing,
        confirmer: Confirmer,
        http: Http,
        way_back: WayBack,
    ) -> None:
        self._settings = settings
        self._lately = timing.changed_lately
        self._confirmer = confirmer
        self._http = http
        self._way_back = way_back

    async def incurable(self, step: Step, row: Row, now: datetime) -> str:
        """In words; empty where an older image may be the cure."""
        if step.action != "rollback":
            return ""
        if step.target == "minio" and (words := await self._of_storage(now)):
            return words
        if row.category == "performance":
            # Uploads fail and requests err while the storage is away, whatever image runs.
            storage = await self._confirmer.look("minio")
            if storage.sick:
                return f"the storage is not well: {storage.words}"
        return await self._by_rule(row) if row.rollback_if else ""

    async def _by_rule(self, row: Row) -> str:
        url = self._settings.prometheus_url
        if url is None:
            return f"PROMETHEUS_URL is not set, so this cannot be asked: {row.rollback_if}"
        try:
            holds = await is_true(
                self._http, url, on_host(row.rollback_if, self._settings.own_host)
            )
        except DeliveryError as error:
            return f"Prometheus could not be asked: {error}"
        return "" if holds else f"not bad enough for a rollback yet: {row.rollback_if}"

    async def _of_storage(self, now: datetime) -> str:
        """Only a new image is put right by an old one; and none makes room on a disk."""
        try:
            mine = roles.minio_containers(await self._confirmer.containers(), self._settings)
            changed = await self._way_back.changed_at(mine[0].service) if mine else None
        except (EngineError, OSError) as error:
            return str(error)
        if not mine:
            return "no container of MINIO_SERVICE exists"
        if changed is None or now - changed > self._lately:
            return f"MinIO's image has not changed within {format_duration(self._lately)}: an older one would cure nothing"
        return await self._of_disk(mine[0])

    async def _of_disk(self, storage: Container) -> str:
        url = self._settings.prometheus_url
        if url is None:
            return "PROMETHEUS_URL is not set, so the room on MinIO's disk cannot be asked for"
        try:
            told = await values(self._http, url, on_host(ROOM, self._settings.own_host))
        except DeliveryError as error:
            return f"Prometheus could not be asked for the room on MinIO's disk: {error}"
        shares = {labels.get("mountpoint", ""): value for labels, value in told}
        try:
            written = written_to(await self._confirmer.inspect(storage.id))
        except EngineError as error:
            return str(error)
        return room_on(written or (ENGINE_DIRECTORY,), shares)
