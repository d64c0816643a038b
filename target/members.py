"""Which containers make the deployment, and in which order they start.

Told by compose's own labels and by names, so that it also works where the project's directory is
gone. Whatever stops or starts the whole deployment asks here: a machine has other people's
containers too, and a service called ``minio`` or ``backend`` may be one of theirs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence

from target.engine import COMPOSE_PROJECT, Container
from target.roles import is_ours, minio_containers
from target.settings import DeploymentSettings

WORKING_DIR = "com.docker.compose.project.working_dir"
DEPENDS_ON = "com.docker.compose.depends_on"
"""``minio:service_healthy:false,db:service_started:true``: docker/compose, pkg/api/labels.go."""
ONE_OFF = "com.docker.compose.oneoff"


def members(containers: Iterable[Container], settings: DeploymentSettings) -> tuple[Container, ...]:
    """The deployment's containers, in the order in which they start; stopped ones included.

    Those made in COMPOSE_PROJECT_DIR, and those whose whole name matches APP_CONTAINERS. The names of
    APP_SERVICE and MINIO_SERVICE count within the compose projects of these, and elsewhere only as a
    container's whole name that was set by a person.
    """
    candidates = [c for c in containers if not is_ours(c) and c.labels.get(ONE_OFF) != "True"]
    pattern = re.compile(settings.app_containers)
    core = {
        c.id
        for c in candidates
        if _made_in(c, settings.compose_project_dir) or pattern.fullmatch(c.name)
    }
    projects = {c.labels.get(COMPOSE_PROJECT) for c in candidates if c.id in core} - {None}
    names = {*settings.app_service, *settings.minio_service}
    found = [
        c
        for c in candidates
        if c.id in core
        or (c.labels.get(COMPOSE_PROJECT) in projects and {c.service, c.name} & names)
        or c.name in _set_by_a_person(settings)
    ]
    return start_order(found, settings)


def start_order(
    containers: Sequence[Container], settings: DeploymentSettings
) -> tuple[Container, ...]:
    """By what depends on what; MinIO before what says nothing. The other way round is the order to stop."""
    depths = _depths(containers)
    minio = {c.id for c in minio_containers(containers, settings)}
    return tuple(sorted(containers, key=lambda c: (depths[c.id], c.id not in minio, c.name)))


def depends_on(container: Container) -> tuple[str, ...]:
    """The compose services that this one waits for, by the label that compose wrote."""
    parts = container.labels.get(DEPENDS_ON, "").split(",")
    return tuple(name for part in parts if (name := part.partition(":")[0]))


def _depths(containers: Sequence[Container]) -> Mapping[str, int]:
    by_service = {(c.labels.get(COMPOSE_PROJECT), c.service): c for c in containers}

    def depth(container: Container, above: frozenset[str]) -> int:
        if container.id in above:  # a circle: compose refuses it, a label may still say so
            return 0
        needed = [
            by_service.get((container.labels.get(COMPOSE_PROJECT), name))
            for name in depends_on(container)
        ]
        below = [depth(one, above | {container.id}) for one in needed if one]
        return 1 + max(below) if below else 0

    return {c.id: depth(c, frozenset()) for c in containers}


def _made_in(container: Container, folder: os.PathLike[str]) -> bool:
    made = container.labels.get(WORKING_DIR)
    return bool(made) and os.path.realpath(made or "") == os.path.realpath(folder)


def _set_by_a_person(settings: DeploymentSettings) -> set[str]:
    return {
        name
        for field in ("app_service", "minio_service")
        if field in settings.model_fields_set
        for name in getattr(settings, field)
    }
