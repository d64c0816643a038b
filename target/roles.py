"""Which containers are the application's, which are MinIO's, and which are nobody's business of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from target.engine import COMPOSE_PROJECT, Container
from target.settings import DeploymentSettings

OUR_PROJECT = "sermon-monitor"
"""The compose project of docker-compose.monitoring.yml: never restarted, changed or counted by us."""


def is_ours(container: Container) -> bool:
    return container.labels.get(COMPOSE_PROJECT) == OUR_PROJECT


def watched(containers: Iterable[Container], settings: DeploymentSettings) -> list[Container]:
    """Those whose whole name matches APP_CONTAINERS, without our own."""
    pattern = re.compile(settings.app_containers)
    return [c for c in containers if pattern.fullmatch(c.name) and not is_ours(c)]


def named(containers: Iterable[Container], names: Iterable[str]) -> list[Container]:
    """Those whose compose service or name is one of ``names``, without our own; the running ones first."""
    wanted = set(names)
    found = [c for c in containers if not is_ours(c) and {c.service, c.name} & wanted]
    return sorted(found, key=lambda c: (not c.running, c.name))


def app_containers(
    containers: Iterable[Container], settings: DeploymentSettings
) -> list[Container]:
    """The application's containers, by APP_SERVICE."""
    return named(containers, settings.app_service)


def of_target(
    containers: Iterable[Container], target: str, settings: DeploymentSettings
) -> list[Container]:
    """Those of a step's target: ``minio``, else the application's."""
    chosen = minio_containers if target == "minio" else app_containers
    return chosen(containers, settings)


def minio_containers(
    containers: Iterable[Container], settings: DeploymentSettings
) -> list[Container]:
    """MinIO's containers, by MINIO_SERVICE."""
    return named(containers, settings.minio_service)
