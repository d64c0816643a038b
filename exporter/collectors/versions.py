"""Which version of the application runs, how often it was deployed, and how old the newest backup is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from exporter.context import Context
from exporter.exposition import Samples, from_metrics
from exporter.scrape import CollectorError, Reading
from target.engine import Container, EngineError, Image
from target.roles import app_containers
from target.version_keeper import LedgerFile
from target.versions import Ledger, deployments

LEDGER_FILE = "versions.json"


class VersionsCollector:
    """Reads image labels through the Engine once an image, and the version ledger when its file changes."""

    name = "versions"

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._engine = context.engine
        self._discovery = context.discovery
        self._images: dict[str, Image] = {}
        self._file = LedgerFile(context.settings.state_dir / LEDGER_FILE)
        self._ledger = Ledger()
        self._services = set(context.settings.app_service)
        """Those of the ledger that are the application: by its settings, and by what its containers are called."""
        self._signature: object = None

    async def run(self) -> None:
        return None

    def begin(self) -> Reading:
        """Each of the three alone: what one cannot tell does not silence the others."""
        apps = app_containers(self._discovery.watched(), self._settings)
        running = [one for one in apps if one.running] if self._discovery.connected else []
        self._services |= {one.service for one in apps}
        problem = "" if self._discovery.connected else self._discovery.error
        return lambda: self._read(running, problem)

    def _read(self, running: Sequence[Container], unknown: str) -> Sequence[Samples]:
        families: list[Metric] = []
        problems = [f"the running version is not known: {unknown}"] if unknown else []
        parts: tuple[Callable[[], list[Metric]], ...] = (
            lambda: [self._build_info(running)],
            self._deployments,
            lambda: backup_families(self._settings.backup_dir, time.time()),
        )
        for part in parts:
            try:
                families.extend(part())
            except (EngineError, OSError, ValueError) as error:
                problems.append(str(error))
        if problems:
            raise CollectorError("; ".join(problems), from_metrics(families))
        return from_metrics(families)

    def _build_info(self, running: Sequence[Container]) -> Metric:
        self._images = {
            one.image_id: self._images.get(one.image_id) or self._image(one) for one in running
        }
        info = GaugeMetricFamily(
            "sermon_uploader_build_info",
            "The application that runs: version and revision from its image's labels.",
            labels=["version", "revision", "image"],
        )
        found = {
            (image.version, image.revision, one.image)
            for one in running
            for image in [self._images[one.image_id]]
        }
        for labels in sorted(found):
            info.add_metric(labels, 1)
        return info

    def _image(self, container: Container) -> Image:
        """A container outlives the removal of its image's tag, and even, forced, that of the image."""
        try:
            return self._engine.image(container.image_id)
        except EngineError as error:
            if not error.missing:
                raise
            return Image(container.image_id, (), (), "", "")

    def _deployments(self) -> list[Metric]:
        signature = self._file.signature()
        if signature != self._signature:
            ledger, problem = self._file.read()
            if problem:
                raise ValueError(problem)
            self._ledger, self._signature = ledger, signature
        return deployment_families(self._ledger, self._services)


def deployment_families(ledger: Ledger, services: set[str]) -> list[Metric]:
    """How often and when the application was deployed.

    No sample while the ledger knows only services of which it is not known yet that they are the
    application: a 0 there would make the true count look like a deployment.
    """
    total = CounterMetricFamily(
        "sermon_uploader_deployments",
        "Times that another image of the application took over, from the version ledger.",
        labels=[],
    )
    last = GaugeMetricFamily(
        "sermon_uploader_last_deployment_timestamp_seconds",
        "Unix time of the last such time; absent when there was none.",
        labels=[],
    )
    found = [one for one in deployments(ledger) if one.service in services]
    if not ledger.releases or any(one.service in services for one in ledger.releases):
        total.add_metric([], len(found) + ledger.forgotten)
    if found:
        last.add_metric([], found[-1].since.timestamp())
    return [total, last]


def backup_families(directory: Path, now: float) -> list[Metric]:
    """The newest entry's age; no sample where there is no backup. Raises OSError where it cannot be seen."""
    age = GaugeMetricFamily(
        "sermon_uploader_backup_age_seconds",
        "Age of the newest entry of BACKUP_DIR; absent when there is none.",
    )
    try:
        modified = [
            entry.lstat().st_mtime
            for entry in directory.iterdir()
            if not entry.name.startswith(".")  # hidden: one that is still being written
        ]
    except (FileNotFoundError, NotADirectoryError):
        modified = []
    if modified:
        age.add_metric([], max(0.0, now - max(modified)))
    return [age]
